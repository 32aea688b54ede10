"""Indexing: which tasks are learned from, on which side of a split."""
