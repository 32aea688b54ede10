"""Samples as batches of tensors."""
