"""Evaluation: scores, calibration, baselines, guards, and the report."""
