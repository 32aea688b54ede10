"""Tasks: the table of all that is known of them, and the inputs built from it."""
