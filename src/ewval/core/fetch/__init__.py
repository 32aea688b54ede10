"""Fetching: from what is asked for to whole files on disk."""
