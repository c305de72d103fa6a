"""The selective scan on the meta device: shapes alone, and how many FLOPs a real kernel spends.

Run there step by step, a scan of a thousand tokens through 64 blocks takes minutes of bookkeeping and tells nothing.
The operators below have no kernel for any real device; `torch.utils.flop_counter` knows their formulae, as it knows
those of matrix products.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from cobra_kit.errors import KernelError

FORWARD_FLOPS = 7
"""Per token, channel and state number: dt A, its exponential, dt u B, decay h + input (2), C h (2)."""

BACKWARD_FLOPS = 20
"""The same for the backward pass: the states again (5), C's gradient (2), the state's (3), B's (2), dt u's (2), the
exponent's (2), A's (2), dt's (2)."""


def meta_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Returns empty outputs `[b s d]` and last state `[b d n]`; arguments as in `scan_chunked.chunked_scan`."""
    dt = F.softplus(dt if dt_bias is None else dt + dt_bias)
    y: Tensor = torch.ops.cobra_kit_mamba.scan_shapes(u, dt, A, B, C)
    if D is not None:
        y = y + D * u
    if z is not None:
        y = y * F.silu(z)
    state = u.new_empty(u.shape[0], u.shape[2], A.shape[1]) if initial_state is None else initial_state.clone()
    return y, state


@torch.library.custom_op("cobra_kit_mamba::scan_shapes", mutates_args=())
def _scan_shapes(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    raise KernelError("this operator stands for the scan on the meta device and has no kernel")


@_scan_shapes.register_fake
def _(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    return torch.empty_like(u)


@torch.library.custom_op("cobra_kit_mamba::scan_shapes_backward", mutates_args=())
def _scan_shapes_backward(grad: Tensor, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> list[Tensor]:
    raise KernelError("this operator stands for the scan on the meta device and has no kernel")


@_scan_shapes_backward.register_fake
def _(grad: Tensor, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> list[Tensor]:
    return [torch.empty_like(tensor) for tensor in (u, dt, A, B, C)]


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.ops.cobra_kit_mamba.scan_shapes_backward(grad, *ctx.saved_tensors))


_scan_shapes.register_autograd(_backward, setup_context=_save)


@register_flop_formula(torch.ops.cobra_kit_mamba.scan_shapes)
def _forward_flops(u: Any, dt: Any, A: Any, *_: Any, **__: Any) -> int:
    return int(FORWARD_FLOPS * u[0] * u[1] * u[2] * A[1])


@register_flop_formula(torch.ops.cobra_kit_mamba.scan_shapes_backward)
def _backward_flops(grad: Any, u: Any, dt: Any, A: Any, *_: Any, **__: Any) -> int:
    return int(BACKWARD_FLOPS * u[0] * u[1] * u[2] * A[1])
