"""Raw volumes to what everything else reads: packed volumes, and the graphs of their segments."""
