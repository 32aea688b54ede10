"""Volumes: as downloaded, packed, and what their voxels say of their segments."""
