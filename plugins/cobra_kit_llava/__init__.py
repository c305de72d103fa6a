"""Rows in LLaVA's form as training data."""
