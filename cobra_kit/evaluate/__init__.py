"""Evaluation: predictions per benchmark, and the named rules that score them."""

from __future__ import annotations
