"""The networks: architectures, losses, training, evaluation, prediction."""
