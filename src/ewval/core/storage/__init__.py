"""Files and arrays on disk: whole or absent, columnar, memory-mapped."""
