"""The supervoxel graph: segments, contacts, and what is measured of each."""
