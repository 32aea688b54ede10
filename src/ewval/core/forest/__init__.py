"""The default model: forests over the supervoxel graph, how they learn and how they decide."""
