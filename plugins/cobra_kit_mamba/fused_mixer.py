"""Everything between a mixer's two outer projections as one operator: convolution, selection, scan and gate.

The parts stand in `native_calls`. Together they copy nothing: both halves of the projected tokens are read where they
lie, and their gradients are written side by side. Taken apart, autograd would join them again with a `cat` each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.decay import decay_rates
from cobra_kit_mamba.native_calls import ScanGradients, ScanInputs
from cobra_kit_mamba.ops import library

_INPUTS = (
    "Tensor xz, Tensor conv_weight, Tensor conv_bias, Tensor x_proj, Tensor dt_proj, Tensor dt_bias, Tensor A_log, "
    "Tensor D, Tensor? starts"
)


@torch.library.custom_op(
    "cobra_kit_mamba::mixer",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_INPUTS}, bool keep) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def mixer(
    xz: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_proj: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    starts: Tensor | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the mixed tokens, and what the backward pass needs: inputs of the scan and, with `keep`, its states.

    Args:
        xz: What `in_proj` says, `[b s 2*d]`.
        conv_weight: `[d 4]`.
        conv_bias: `[d]`.
        x_proj: `[rank+2*n d]`.
        dt_proj: `[d rank]`.
        dt_bias: `[d]`.
        A_log: `[d n]`.
        D: `[d]`.
        starts: `[b s]`, where segments begin, or None.
        keep: Whether there will be a backward pass.
    """
    x, z = xz.chunk(2, dim=-1)
    u = calls.conv_forward(library(), x, conv_weight, conv_bias, None, starts)
    selected = u @ x_proj.t()
    dt = selected[..., : dt_proj.shape[1]] @ dt_proj.t()
    inputs = _scan_inputs(u, dt, selected, z, dt_bias, A_log, D, starts)
    y, _, kept = calls.scan_forward(library(), inputs, None, keep=keep)
    return y, u, selected, dt, kept


def _scan_inputs(
    u: Tensor,
    dt: Tensor,
    selected: Tensor,
    z: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    starts: Tensor | None,
) -> ScanInputs:
    d_state = A_log.shape[1]
    B, C = selected[..., -2 * d_state : -d_state], selected[..., -d_state:]
    return ScanInputs(u, dt, decay_rates(A_log, A_log.dtype), B, C, D, z, dt_bias, starts)


@mixer.register_fake
def _(
    xz: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_proj: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    starts: Tensor | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    rows, length, wide = xz.shape
    y = xz.new_empty(rows, length, wide // 2)
    kept = calls.kept_shape(rows, length, wide // 2, A_log.shape[1], library().cobra_lanes()) if keep else 0
    selected = xz.new_empty(rows, length, x_proj.shape[0])
    return y, torch.empty_like(y), selected, torch.empty_like(y), xz.new_empty(kept)


@torch.library.custom_op(
    "cobra_kit_mamba::mixer_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_INPUTS}, Tensor u, Tensor selected, Tensor dt, Tensor kept, Tensor grad_y) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def mixer_backward(
    xz: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_proj: Tensor,
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,
    starts: Tensor | None,
    u: Tensor,
    selected: Tensor,
    dt: Tensor,
    kept: Tensor,
    grad_y: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of the first eight inputs of `mixer`."""
    (x, z), rank, d_state = xz.chunk(2, dim=-1), dt_proj.shape[1], A_log.shape[1]
    inputs = _scan_inputs(u, dt, selected, z, dt_bias, A_log, D, starts)
    grad_xz, grad_selected = torch.empty_like(xz), torch.empty_like(selected)
    grad_x, grad_z = grad_xz.chunk(2, dim=-1)
    to = ScanGradients(grad_selected[..., rank : rank + d_state], grad_selected[..., rank + d_state :], grad_z)
    found = calls.scan_backward(library(), inputs, kept, grad_y, None, to=to)
    grad_u, grad_dt, grad_A, _, _, grad_D, _, grad_bias, _ = found
    assert grad_D is not None
    assert grad_bias is not None
    flat_dt, flat_u, flat_selected = grad_dt.flatten(0, 1), grad_u.flatten(0, 1), grad_selected.flatten(0, 1)
    torch.mm(flat_dt, dt_proj, out=flat_selected[:, :rank])
    grad_dt_proj = flat_dt.t() @ selected.flatten(0, 1)[:, :rank]
    grad_x_proj = flat_selected.t() @ u.flatten(0, 1)
    flat_u.addmm_(flat_selected, x_proj)
    _, grad_weight, grad_conv_bias, _ = calls.conv_backward(
        library(), x, conv_weight, conv_bias, None, starts, grad_u, to=grad_x
    )
    assert grad_conv_bias is not None
    return (
        *(grad_xz, grad_weight, grad_conv_bias, grad_x_proj, grad_dt_proj, grad_bias),
        *(grad_A.mul_(inputs.A), grad_D),
    )


@mixer_backward.register_fake
def _(*args: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(tensor) for tensor in args[:8])


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    if inputs[-1]:
        ctx.save_for_backward(*inputs[:-1], *output[1:])


def _backward(ctx: Any, grad_y: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if grad_y is None:
        return (None,) * 10
    return *mixer_backward(*ctx.saved_tensors, grad_y), None, None


mixer.register_autograd(_backward, setup_context=_setup)
