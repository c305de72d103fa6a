"""Everything between a mixer's two outer projections as one operator: convolution, selection, scan and gate.

The parts stand in `native_calls`. Together they copy nothing: both halves of the projected tokens are read where they
lie, and their gradients are written side by side. Taken apart, autograd would join them again with a `cat` each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.decay import decay_rates
from cobra_kit_mamba.native_calls import ScanGradients, ScanInputs
from cobra_kit_mamba.operators import library


class MixerInputs(NamedTuple):
    """The inputs of the operator, in the order of its schema.

    Attributes:
        xz: What `in_proj` says, `[b s 2*d]`.
        conv_weight: Weights of each channel's taps, `[d 4]`.
        conv_bias: Bias of each channel, `[d]`.
        x_proj: Weight from channels to time step, B and C, `[rank+2*n d]`.
        dt_proj: Weight from the time step's rank to channels, `[d rank]`.
        dt_bias: Bias of the time step, `[d]`.
        A_log: Logarithm of the decay rates -A, `[d n]`.
        D: Factor of the skip, `[d]`.
        starts: `[b s]`, where segments begin, or None.
    """

    xz: Tensor
    conv_weight: Tensor
    conv_bias: Tensor
    x_proj: Tensor
    dt_proj: Tensor
    dt_bias: Tensor
    A_log: Tensor
    D: Tensor
    starts: Tensor | None

    def for_scan(self, u: Tensor, selected: Tensor, dt: Tensor) -> ScanInputs:
        """Returns what the scan reads, B and C `[b s n]` where they lie in `selected`."""
        d_state, z = self.A_log.shape[1], self.xz.chunk(2, dim=-1)[1]
        B, C = selected[..., -2 * d_state : -d_state], selected[..., -d_state:]
        A = decay_rates(self.A_log, self.A_log.dtype)
        return ScanInputs(u, dt, A, B, C, self.D, z, self.dt_bias, self.starts)


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
def mixer(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the mixed tokens `[b s d]`, and for the backward pass the scan's inputs and, with `keep`, its states.

    Args:
        *arguments: `MixerInputs`, and `keep`: whether there will be a backward pass.
    """
    inputs, keep = MixerInputs(*arguments[:-1]), arguments[-1]
    x, _ = inputs.xz.chunk(2, dim=-1)
    u = calls.conv_forward(library(), x, inputs.conv_weight, inputs.conv_bias, None, inputs.starts)
    selected = u @ inputs.x_proj.t()
    dt = selected[..., : inputs.dt_proj.shape[1]] @ inputs.dt_proj.t()
    y, _, kept = calls.scan_forward(library(), inputs.for_scan(u, selected, dt), None, keep=keep)
    return y, u, selected, dt, kept


@mixer.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs, keep = MixerInputs(*arguments[:-1]), arguments[-1]
    xz, d_state = inputs.xz, inputs.A_log.shape[1]
    rows, length, wide = xz.shape
    y = xz.new_empty(rows, length, wide // 2)
    kept = calls.kept_shape(rows, length, wide // 2, d_state, library().cobra_lanes()) if keep else 0
    selected = xz.new_empty(rows, length, inputs.x_proj.shape[0])
    return y, torch.empty_like(y), selected, torch.empty_like(y), xz.new_empty(kept)


@torch.library.custom_op(
    "cobra_kit_mamba::mixer_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_INPUTS}, Tensor u, Tensor selected, Tensor dt, Tensor kept, Tensor grad_y) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def mixer_backward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Returns the gradients of the first eight inputs of `mixer`, in the same shapes.

    Args:
        *arguments: `MixerInputs`, what `mixer` returned beside the mixed tokens, and their gradient.
    """
    inputs, (u, selected, dt, kept, grad_y) = MixerInputs(*arguments[:9]), arguments[9:]
    (x, _), dt_proj = inputs.xz.chunk(2, dim=-1), inputs.dt_proj
    rank, d_state = dt_proj.shape[1], inputs.A_log.shape[1]
    for_scan = inputs.for_scan(u, selected, dt)
    grad_xz, grad_selected = torch.empty_like(inputs.xz), torch.empty_like(selected)
    grad_x, grad_z = grad_xz.chunk(2, dim=-1)
    to = ScanGradients(grad_selected[..., rank : rank + d_state], grad_selected[..., rank + d_state :], grad_z)
    grad_u, grad_dt, grad_A, _, _, grad_D, _, grad_bias, _ = calls.scan_backward(
        library(), for_scan, kept, grad_y, None, to=to
    )
    assert grad_D is not None
    assert grad_bias is not None
    flat_dt, flat_u, flat_selected = grad_dt.flatten(0, 1), grad_u.flatten(0, 1), grad_selected.flatten(0, 1)
    torch.mm(flat_dt, dt_proj, out=flat_selected[:, :rank])
    grad_dt_proj = flat_dt.t() @ selected.flatten(0, 1)[:, :rank]
    grad_x_proj = flat_selected.t() @ u.flatten(0, 1)
    flat_u.addmm_(flat_selected, inputs.x_proj)  # u reaches the loss twice: through the scan and through the selection
    _, grad_weight, grad_conv_bias, _ = calls.conv_backward(
        library(), x, inputs.conv_weight, inputs.conv_bias, None, inputs.starts, grad_u, to=grad_x
    )
    assert grad_conv_bias is not None
    # A is -exp(A_log), so its derivative by A_log is A itself.
    grad_A_log = grad_A.mul_(for_scan.A)
    return grad_xz, grad_weight, grad_conv_bias, grad_x_proj, grad_dt_proj, grad_bias, grad_A_log, grad_D


@mixer_backward.register_fake
def _(*arguments: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(tensor) for tensor in arguments[:8])


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
