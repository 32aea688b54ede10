"""Training of networks: steps, losses, checkpoints, and the run folder."""
