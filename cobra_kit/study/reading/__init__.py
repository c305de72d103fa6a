"""What a study's folder says, read back from its files alone."""
