"""The kernels as torch operators, `cobra_kit_mamba::*`: gradients, fake kernels for tracing.

Here are those of C, for CPU and float32 only; `triton_ops` adds those for CUDA, which take any floating dtype.

Nothing chooses here: whoever calls one has asked `selection` first. What an operator's backward needs it returns, after
what it computes. A gradient of a gradient raises.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from cobra_kit.errors import KernelError
from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.native import load_native, wait_briefly
from cobra_kit_mamba.native_calls import ScanInputs

_SCAN = "Tensor u, Tensor dt, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? dt_bias"


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


def _or_empty(tensor: Tensor | None, like: Tensor) -> Tensor:
    """Operators return tensors, never None."""
    return like.new_empty(0) if tensor is None else tensor


def _given(gradient: Tensor, given: Tensor | None) -> Tensor | None:
    return None if given is None else gradient


# The selective scan


@torch.library.custom_op(
    "cobra_kit_mamba::scan",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_SCAN}, Tensor? initial_state, Tensor? starts, bool keep) -> (Tensor, Tensor, Tensor)",
)
def scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    starts: Tensor | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns outputs, last state, and with `keep` the states for the backward pass; see `scan.selective_scan`."""
    inputs = ScanInputs(u, dt, A, B, C, D, z, dt_bias, starts)
    return calls.scan_forward(library(), inputs, initial_state, keep=keep)


@scan.register_fake
def _(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    starts: Tensor | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    last = u.new_empty(u.shape[0], *A.shape, dtype=torch.float32)
    return u.new_empty(u.shape), last, _fake_kept(u, A, keep)


def _fake_kept(u: Tensor, A: Tensor, keep: bool) -> Tensor:
    if u.device.type != "cpu":
        return u.new_empty(0)
    rows, length, channels = u.shape
    shape = calls.kept_shape(rows, length, channels, A.shape[1], library().cobra_lanes())
    return u.new_empty(shape if keep else 0)


@torch.library.custom_op(
    "cobra_kit_mamba::scan_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_SCAN}, Tensor? initial_state, Tensor? starts, Tensor kept, Tensor grad_y, Tensor? grad_last) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def scan_backward(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    starts: Tensor | None,
    kept: Tensor,
    grad_y: Tensor,
    grad_last: Tensor | None,
) -> tuple[Tensor, ...]:
    """Returns the gradients of the eight inputs and of the initial state, empty where there is none."""
    inputs = ScanInputs(u, dt, A, B, C, D, z, dt_bias, starts)
    initial = initial_state is not None
    found = calls.scan_backward(library(), inputs, kept, grad_y, grad_last, initial=initial)
    return tuple(_or_empty(gradient, u) for gradient in found)


@scan_backward.register_fake
def _(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    starts: Tensor | None,
    kept: Tensor,
    grad_y: Tensor,
    grad_last: Tensor | None,
) -> tuple[Tensor, ...]:
    return _fake_gradients(u, dt, A, B, C, D, z, dt_bias, initial_state)


def _fake_gradients(*given: Tensor | None) -> tuple[Tensor, ...]:
    like = next(tensor for tensor in given if tensor is not None)
    return tuple(like.new_empty(0) if tensor is None else tensor.new_empty(tensor.shape) for tensor in given)


def _scan_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, keep = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    if keep:
        ctx.save_for_backward(*tensors, output[2])


def _scan_backward(ctx: Any, grad_y: Tensor | None, grad_last: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    *tensors, starts, kept = ctx.saved_tensors
    grad_y = torch.zeros_like(tensors[0]) if grad_y is None else grad_y
    found = scan_backward(*tensors, starts, kept, grad_y, grad_last)
    return *(_given(gradient, tensor) for gradient, tensor in zip(found, tensors, strict=True)), None, None


scan.register_autograd(_scan_backward, setup_context=_scan_setup)


# The convolution


@torch.library.custom_op(
    "cobra_kit_mamba::conv",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor? before, Tensor? starts) -> Tensor",
)
def conv(x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None) -> Tensor:
    """Returns silu of the causal convolution; see `conv.causal_conv_silu`."""
    return calls.conv_forward(library(), x, weight, bias, before, starts)


@conv.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op(
    "cobra_kit_mamba::conv_backward",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor? before, Tensor? starts, Tensor grad_y) -> "
    "(Tensor, Tensor, Tensor, Tensor)",
)
def conv_backward(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None, grad_y: Tensor
) -> tuple[Tensor, ...]:
    """Returns the gradients of x, weight, bias and `before`, empty where there is none."""
    found = calls.conv_backward(library(), x, weight, bias, before, starts, grad_y)
    return tuple(_or_empty(gradient, x) for gradient in found)


@conv_backward.register_fake
def _(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None, grad_y: Tensor
) -> tuple[Tensor, ...]:
    return _fake_gradients(x, weight, bias, before)


def _conv_setup(ctx: Any, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _conv_backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, starts = ctx.saved_tensors
    found = conv_backward(*tensors, starts, grad_y)
    return *(_given(gradient, tensor) for gradient, tensor in zip(found, tensors, strict=True)), None


conv.register_autograd(_conv_backward, setup_context=_conv_setup)


# The norm


@torch.library.custom_op(
    "cobra_kit_mamba::norm",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)",
)
def norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Returns x / rms(x) * weight over the last dimension, and 1 / rms."""
    _, y, rstd = calls.norm_forward(library(), x, None, weight, eps)
    return y, rstd


@norm.register_fake
def _(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape, dtype=weight.dtype), x.new_empty(x.shape[:-1], dtype=torch.float32)


@torch.library.custom_op(
    "cobra_kit_mamba::add_norm",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor added, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)",
)
def add_norm(x: Tensor, added: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Returns x + added, its `norm`, and 1 / rms."""
    return calls.norm_forward(library(), x, added, weight, eps)


@add_norm.register_fake
def _(x: Tensor, added: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    normed, rstd = x.new_empty(x.shape, dtype=weight.dtype), x.new_empty(x.shape[:-1], dtype=torch.float32)
    return x.new_empty(x.shape), normed, rstd


@torch.library.custom_op(
    "cobra_kit_mamba::norm_backward",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor total, Tensor weight, Tensor rstd, Tensor grad_y, Tensor? grad_total) -> (Tensor, Tensor)",
)
def norm_backward(
    total: Tensor, weight: Tensor, rstd: Tensor, grad_y: Tensor, grad_total: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of what was normed and of the weight."""
    return calls.norm_backward(library(), total, weight, rstd, grad_y, grad_total)


@norm_backward.register_fake
def _(total: Tensor, weight: Tensor, rstd: Tensor, grad_y: Tensor, grad_total: Tensor | None) -> tuple[Tensor, Tensor]:
    return total.new_empty(total.shape), weight.new_empty(weight.shape)


def _norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(*inputs[:2], output[1])


def _norm_backward(ctx: Any, grad_y: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    x, weight, rstd = ctx.saved_tensors
    if grad_y is None:
        return None, None, None
    return *norm_backward(x, weight, rstd, grad_y, None), None


norm.register_autograd(_norm_backward, setup_context=_norm_setup)


def _add_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    ctx.save_for_backward(output[0], inputs[2], output[2])


def _add_norm_backward(
    ctx: Any, grad_total: Tensor | None, grad_y: Tensor | None, _: None
) -> tuple[Tensor | None, ...]:
    total, weight, rstd = ctx.saved_tensors
    if grad_y is None:
        return grad_total, grad_total, None, None
    grad, grad_weight = norm_backward(total, weight, rstd, grad_y, grad_total)
    return grad, grad, grad_weight, None


add_norm.register_autograd(_add_norm_backward, setup_context=_add_norm_setup)


# One token of decoding


@torch.library.custom_op(
    "cobra_kit_mamba::scan_step",
    mutates_args=("state", "out"),
    device_types="cpu",
    schema=f"(Tensor(a!) state, {_SCAN}, Tensor(b!) out, bool log_A=False) -> ()",
)
def scan_step(
    state: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    out: Tensor,
    log_A: bool = False,
) -> None:
    """Advances the state `[b d n]` and writes the outputs `[b d]` to `out`; with `log_A`, A is the logarithm of -A."""
    calls.scan_step(library(), state, ScanInputs(u, dt, A, B, C, D, z, dt_bias), out, log_A=log_A)


@scan_step.register_fake
def _(*args: Tensor | bool | None) -> None:
    return None


@torch.library.custom_op(
    "cobra_kit_mamba::conv_step",
    mutates_args=("state", "out"),
    device_types="cpu",
    schema="(Tensor(a!) state, Tensor x, Tensor weight, Tensor? bias, Tensor(b!) out) -> ()",
)
def conv_step(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Pushes x `[b d]` into the state `[b d 4]` and writes silu of the convolution to `out`; allocates nothing."""
    calls.conv_step(library(), state, x, weight, bias, out)


@conv_step.register_fake
def _(*args: Tensor | None) -> None:
    return None
