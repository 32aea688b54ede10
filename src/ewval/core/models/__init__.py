"""Models: cards, files of weights, and the protocol of whoever decides which segments to add."""
