"""Serves trained models to lmms-eval, which finds them through its own entry points."""
