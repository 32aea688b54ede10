"""Scores that mean what they say, by a few numbers fitted on cells that were not learned from."""
