"""Triton kernels of Mamba-1. Only `triton_ops` imports them, and that only once a GPU's tensors ask for them."""

from __future__ import annotations

MAX_STATE = 256
"""The most states per channel: with more, a thread's registers would not hold its part of a block."""

MAX_TAPS = 8
"""The longest convolution: every tap is unrolled, in the backward pass squared."""

MAX_WIDTH = 16384
"""The widest norm: a program holds a row."""
