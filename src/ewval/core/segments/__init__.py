"""Segments of a task: views of a volume, verdicts, doubts, drawn seeds."""
