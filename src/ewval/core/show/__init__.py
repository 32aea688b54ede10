"""Pictures, meshes and files that other programs open."""
