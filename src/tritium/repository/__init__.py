"""Which models are loaded: directories, versions and their lives."""
