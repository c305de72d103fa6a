"""Latency, memory and scaling measurements."""
