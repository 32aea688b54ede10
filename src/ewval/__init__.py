"""Does Eyewire tasks by itself and says how sure it is."""

__version__ = "0.1.0"
