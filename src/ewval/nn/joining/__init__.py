"""Networks that decide segment by segment."""
