"""Whether this installation, this data folder and the way to Eyewire are in order."""
