"""A generated world of neurons, and a server that speaks like Eyewire."""
