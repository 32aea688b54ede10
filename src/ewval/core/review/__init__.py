"""`ewval review`: a page on this machine where a person settles tasks, and what becomes of the answers."""
