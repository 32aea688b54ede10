"""A generated world of neurons, and a server in Eyewire's form for it or any other folder in the wire format."""
