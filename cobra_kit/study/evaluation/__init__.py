"""More questions to a trained run: found, asked, scored, and joined to its study's table."""
