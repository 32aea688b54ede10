"""How results of commands are shown."""
