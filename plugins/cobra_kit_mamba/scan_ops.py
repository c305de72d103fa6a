"""The selective scan as torch operators, forward and backward; see `operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.operators import SCAN_ARGUMENTS, empty_for_none, fake_gradients, library, none_for_absent


def _inputs(arguments: tuple[Any, ...]) -> ScanInputs:
    """Returns what both kernels read, of the arguments in the schemas' order; the initial state goes its own way."""
    *tensors, _, starts = arguments[:10]
    return ScanInputs(*[*tensors, starts])


@torch.library.custom_op(
    "cobra_kit_mamba::scan",
    mutates_args=(),
    device_types="cpu",
    schema=f"({SCAN_ARGUMENTS}, Tensor? initial_state, Tensor? starts, bool keep) -> (Tensor, Tensor, Tensor)",
)
def scan(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Returns outputs `[b s d]`, last state `[b d n]`, and with `keep` the states for the backward pass."""
    return calls.scan_forward(library(), _inputs(arguments), arguments[8], keep=arguments[10])


@scan.register_fake
def _(u: Tensor, dt: Tensor, A: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    last = u.new_empty(u.shape[0], *A.shape, dtype=torch.float32)
    return u.new_empty(u.shape), last, _fake_kept(u, A, rest[-1])


def _fake_kept(u: Tensor, A: Tensor, keep: bool) -> Tensor:
    if u.device.type != "cpu":
        return u.new_empty(0)  # Triton's backward pass computes the states again
    rows, length, channels = u.shape
    shape = calls.kept_shape(rows, length, channels, A.shape[1], library().cobra_lanes())
    return u.new_empty(shape if keep else 0)


@torch.library.custom_op(
    "cobra_kit_mamba::scan_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"({SCAN_ARGUMENTS}, Tensor? initial_state, Tensor? starts, Tensor kept, Tensor grad_y, Tensor? grad_last) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def scan_backward(*arguments: Any) -> tuple[Tensor, ...]:
    """Returns the gradients of the eight inputs and of the initial state, in the same shapes, empty where none is."""
    inputs, initial, (kept, grad_y, grad_last) = _inputs(arguments), arguments[8] is not None, arguments[10:]
    gradients = calls.scan_backward(library(), inputs, kept, grad_y, grad_last, initial=initial)
    return empty_for_none(inputs.u, gradients)


@scan_backward.register_fake
def _(u: Tensor, *rest: Tensor | None) -> tuple[Tensor, ...]:
    return fake_gradients(u, u, *rest[:8])


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, keep = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    if keep:
        ctx.save_for_backward(*tensors, output[2])


def _backward(ctx: Any, grad_y: Tensor | None, grad_last: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    *tensors, starts, kept = ctx.saved_tensors
    grad_y = torch.zeros_like(tensors[0]) if grad_y is None else grad_y
    gradients = scan_backward(*tensors, starts, kept, grad_y, grad_last)
    return *none_for_absent(gradients, tensors), None, None


scan.register_autograd(_backward, setup_context=_setup)
