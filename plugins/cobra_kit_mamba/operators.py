"""The base of the operators `cobra_kit_mamba::*`: the loaded C kernels, and gradients that may be absent.

The families are `scan_ops`, `conv_ops`, `norm_ops` and `decode_ops`; `fused_mixer` and `fused_step` join several. Their
kernels are those of C, for CPU and float32 only; `triton_ops` adds those for CUDA, which take any floating dtype.

Nothing chooses here: whoever calls an operator has asked `selection` first. What an operator's backward needs it
returns, after what it computes, because autograd's `setup_context` is shown inputs and outputs alone. A gradient of a
gradient raises.
"""

from __future__ import annotations

import ctypes

from torch import Tensor

from cobra_kit.errors import KernelError
from cobra_kit_mamba.native import load_native, wait_briefly

SCAN_ARGUMENTS = "Tensor u, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? dt_bias"
"""What a scan and its step read, in the words of an operator's schema."""


def library() -> ctypes.CDLL:
    """Returns the loaded kernels.

    Raises:
        KernelError: They cannot be had here.
    """
    native = load_native()
    if native.library is None:
        raise KernelError(f"the C kernels cannot be used: {native.reason}", hint=native.remedy)
    wait_briefly(native.library)  # here, where a kernel is about to run, and nothing is traced
    return native.library


def empty_for_none(like: Tensor, gradients: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """Returns the gradients, of any shape, with empty tensors for None: operators return tensors, never None."""
    return tuple(like.new_empty(0) if gradient is None else gradient for gradient in gradients)


def none_for_absent(gradients: tuple[Tensor, ...], inputs: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Returns the gradients, of any shape, with None where there was no input, as autograd wants it."""
    return tuple(None if x is None else gradient for gradient, x in zip(gradients, inputs, strict=True))


def fake_gradients(like: Tensor, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """Returns what a backward pass returns, with values that mean nothing: the shape of each input, empty for None."""
    return tuple(like.new_empty(0) if x is None else x.new_empty(x.shape) for x in inputs)
