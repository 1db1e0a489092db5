"""Model configuration as files and documents: read, complete, check, show."""
