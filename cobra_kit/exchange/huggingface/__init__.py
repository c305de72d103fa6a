"""Folders that transformers opens with `trust_remote_code`: what they hold, and the classes behind them."""
