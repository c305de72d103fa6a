"""The causal convolution as torch operators, forward and backward; see `operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.operators import empty_for_none, fake_gradients, library, none_for_absent


@torch.library.custom_op(
    "cobra_kit_mamba::conv",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor weight, Tensor? bias, Tensor? before, Tensor? starts) -> Tensor",
)
def conv(x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None) -> Tensor:
    """Returns silu of the causal convolution, `[b s d]`; see `conv.causal_conv_silu`."""
    return calls.conv_forward(library(), x, weight, bias, before, starts)


@conv.register_fake
def _(x: Tensor, *_: Tensor | None) -> Tensor:
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
    """Returns the gradients of x, weight, bias and `before`, in the same shapes, empty where there is none."""
    return empty_for_none(x, calls.conv_backward(library(), x, weight, bias, before, starts, grad_y))


@conv_backward.register_fake
def _(x: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
    return fake_gradients(x, x, *rest[:3])


def _setup(ctx: Any, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, starts = ctx.saved_tensors
    return *none_for_absent(conv_backward(*tensors, starts, grad_y), tensors), None


conv.register_autograd(_backward, setup_context=_setup)
