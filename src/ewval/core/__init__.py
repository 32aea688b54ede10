"""The pipeline without torch: tasks, volumes, files and samples."""
