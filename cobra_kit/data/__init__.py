"""Training rows at scale and frozen features; which data there are, plugins say. Importing it loads no torch."""
