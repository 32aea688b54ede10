"""Evaluation in parts: per-task scores, sums that stream, intervals, guards, baselines, plots and the report."""
