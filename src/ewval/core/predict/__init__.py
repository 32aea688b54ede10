"""Prediction: from tasks to answers, many at a time, in a folder and in a report."""
