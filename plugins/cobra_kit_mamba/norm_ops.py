"""The norm, alone and of a sum, as torch operators, forward and backward; see `operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.operators import library


@torch.library.custom_op(
    "cobra_kit_mamba::norm",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, float eps) -> (Tensor, Tensor)",
)
def norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Returns x / rms(x) * weight over the last dimension of x `[.. d]`, and 1 / rms `[..]`."""
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
    """Returns x + added `[.. d]`, its `norm`, and 1 / rms `[..]`."""
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
    """Returns the gradients of what was normed `[.. d]` and of the weight `[d]`."""
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
