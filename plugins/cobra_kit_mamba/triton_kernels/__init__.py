"""Triton kernels of Mamba-1. Only `triton_ops` imports them, and that only once a GPU's tensors ask for them."""
