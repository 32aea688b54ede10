"""A recipe of `ewval train` that takes seconds."""

__all__ = ["QUICK"]

QUICK = """arch = "lwunet"
[network]
context = 0
loops = 1
[samples]
batch_size = 2
vary_seed = 1
crop = 8
"""
"""Crops of 8^3."""
