"""`ewval train` for the default kind of model: from data folders and a recipe to a run folder."""
