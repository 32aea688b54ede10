"""What has been fetched, in one SQLite file."""
