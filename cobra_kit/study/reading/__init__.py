"""The contents of a study's folder, read back from its files alone."""
