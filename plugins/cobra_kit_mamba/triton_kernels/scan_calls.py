"""The scan's kernels on tensors: any strides, any floating dtype for inputs and outputs, float32 inside."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.triton_kernels.device import as_bytes, launching_on
from cobra_kit_mamba.triton_kernels.plan import backward_plan, forward_plan, gradient_plan
from cobra_kit_mamba.triton_kernels.scan_backward import chunk_sums, gradients
from cobra_kit_mamba.triton_kernels.scan_forward import carried_states, local_states, outputs

_CHUNKS_AT_ONCE = 8
_CARRY_BLOCK = 64


def scan_forward(x: ScanInputs, initial: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns the outputs `[b s d]` in the dtype of u, and the last state `[b d n]` in float32.

    Args:
        x: The inputs; shapes as in `scan.selective_scan`, at least one token and channel.
        initial: `[b d n]` or None: zeros.
    """
    (rows, length, channels), d_state = x.u.shape, x.A.shape[1]
    B, C, D, bias, starts = _dense(x)
    plan = forward_plan(rows, length, channels, d_state, x.u.device)
    y = x.u.new_empty(rows, length, channels)
    last = x.u.new_empty(rows, channels, d_state, dtype=torch.float32)
    grid = (rows * plan.chunks * plan.blocks,)
    sizes = (length, channels, d_state, plan.chunk, plan.chunks, plan.blocks)
    blocks = {"GROUP": plan.group, "BLOCK_D": plan.block_d, "BLOCK_N": plan.block_n, "num_warps": plan.warps}
    flags = {"HAS_BIAS": bias is not None, "HAS_STARTS": starts is not None}
    u = x.u  # stands for what is None, and is not read
    begins, strides = _or(initial, u), _state_strides(initial)
    with launching_on(u):
        if plan.chunks > 1:
            states, sums = _chunk_states(u, d_state, plan.chunks)
            local_states[grid](
                *(u, x.dt, x.A, B, _or(bias, u), _or(starts, u), states, sums),
                *(1, *u.stride(), *x.dt.stride(), *x.A.stride(), *B.stride()[:2], *states.stride(), *sizes),
                **flags, **blocks,
            )  # fmt: skip
            _carry(states, sums, x.A, _fresh(starts, plan.chunk), initial, None)
            begins, strides = states, states.stride()
        outputs[grid](
            *(u, x.dt, x.A, B, C, _or(D, u), _or(x.z, u), _or(bias, u), _or(starts, u), begins, y, last),
            *(1, *u.stride(), *x.dt.stride(), *x.A.stride(), *B.stride()[:2], *C.stride()[:2], *_or(x.z, u).stride()),
            *(*y.stride(), *strides, last.stride(0), last.stride(2), last.stride(1), *sizes),
            HAS_D=D is not None, HAS_Z=x.z is not None, HAS_BEGINS=begins is not u, **flags, **blocks,
        )  # fmt: skip
    return y, last


def scan_backward(
    x: ScanInputs, grad_y: Tensor, grad_last: Tensor | None = None, initial: Tensor | None = None
) -> tuple[Tensor | None, ...]:
    """Returns the gradients of u, dt, A, B, C, D, z, dt_bias and the initial state; None for what was None.

    Args:
        x: The inputs of the forward pass.
        grad_y: `[b s d]`.
        grad_last: `[b d n]`, or None: zeros.
        initial: The initial state that `scan_forward` was given.
    """
    (rows, length, channels), d_state = x.u.shape, x.A.shape[1]
    B, C, D, bias, starts = _dense(x)
    plan = backward_plan(length, channels, d_state)
    final = gradient_plan(rows, channels, plan.chunks, x.u.device)
    u, z = x.u, x.z
    states, sums = _chunk_states(u, d_state, plan.chunks)
    grads = torch.empty_like(states)
    du, ddt, dz = (None if t is None else t.new_empty(t.shape) for t in (u, x.dt, z))
    dinitial = None if initial is None else torch.empty_like(states[:, 0]).transpose(1, 2)

    def parts(*shape: int) -> Tensor:
        return u.new_empty(shape, dtype=torch.float32)

    dA = parts(rows, final.parts, d_state, channels)
    dB, dC = parts(final.blocks, rows, d_state, length), parts(final.blocks, rows, d_state, length)
    dD, dbias = parts(rows, final.parts, channels), parts(rows, final.parts, channels)
    inputs = (1, *u.stride(), *x.dt.stride(), *x.A.stride(), *B.stride()[:2], *C.stride()[:2], *_or(z, u).stride())
    strides = (*inputs, *grad_y.stride(), *states.stride())
    flags = {"HAS_Z": z is not None, "HAS_BIAS": bias is not None, "HAS_STARTS": starts is not None}
    with launching_on(u):
        chunk_sums[(rows * plan.chunks * plan.blocks,)](
            *(u, x.dt, x.A, B, C, _or(z, u), _or(bias, u), _or(starts, u), grad_y, states, grads, sums),
            *(*strides, length, channels, d_state, plan.chunks, plan.blocks),
            CHUNK=plan.chunk, GROUP=plan.group, BLOCK_D=plan.block_d, BLOCK_N=plan.block_n, num_warps=plan.warps,
            **flags,
        )  # fmt: skip
        fresh = _fresh(starts, plan.chunk)
        _carry(states, sums, x.A, fresh, initial, None)
        _carry(grads, sums, x.A, fresh, grad_last, dinitial, reverse=True)
        gradients[(rows * final.parts * final.blocks,)](
            *(u, x.dt, x.A, B, C, _or(D, u), _or(z, u), _or(bias, u), _or(starts, u), grad_y, states, grads),
            *(du, ddt, _or(dz, u), dA, dB, dC, dD, dbias, *strides, 1),
            *(length, channels, d_state, plan.chunks, final.chunks_each, final.parts, final.blocks, rows),
            HAS_D=D is not None, CHUNK=plan.chunk, BLOCK_D=final.block_d, num_warps=final.warps, **flags,
        )  # fmt: skip
    return (
        du,
        ddt,
        dA.sum((0, 1)).t().to(x.A.dtype).contiguous(),
        _tokens_first(dB, B),
        _tokens_first(dC, C),
        None if D is None else dD.sum((0, 1)).to(D.dtype),
        dz,
        None if bias is None else dbias.sum((0, 1)).to(bias.dtype),
        None if dinitial is None or initial is None else dinitial.to(initial.dtype).contiguous(),
    )


def _carry(
    states: Tensor,
    sums: Tensor,
    A: Tensor,
    fresh: Tensor | None,
    initial: Tensor | None,
    last: Tensor | None,
    *,
    reverse: bool = False,
) -> None:
    """Replaces what each chunk makes by what comes to it; `last` is where what leaves the last one is written."""
    rows, chunks, d_state, channels = states.shape
    blocks = -(-channels // _CARRY_BLOCK)
    given = (_or(initial, states), _or(last, states))
    carried_states[(rows * d_state * blocks,)](
        *(states, sums, A, _or(fresh, states), *given, *states.stride(), *A.stride()),
        *(stride for tensor in given for stride in tensor.stride()[:3]),
        *(channels, d_state, chunks, blocks),
        HAS_STARTS=fresh is not None, HAS_INITIAL=initial is not None, HAS_LAST=last is not None, REVERSE=reverse,
        GROUP=_CHUNKS_AT_ONCE, BLOCK_D=_CARRY_BLOCK, num_warps=_CARRY_BLOCK // 32,
    )  # fmt: skip


def _chunk_states(u: Tensor, d_state: int, chunks: int) -> tuple[Tensor, Tensor]:
    """Returns room for a state per chunk `[b chunks n d]` and for the sums of its time steps `[b chunks d]`."""
    rows, _, channels = u.shape
    states = u.new_empty(rows, chunks, d_state, channels, dtype=torch.float32)
    return states, u.new_empty(rows, chunks, channels, dtype=torch.float32)


def _fresh(starts: Tensor | None, chunk: int) -> Tensor | None:
    """Returns in which chunks a segment starts, `[b chunks]`."""
    if starts is None:
        return None
    rows, length = starts.shape
    chunks: Tensor = F.pad(starts, (0, -length % chunk)).view(rows, -1, chunk)
    return chunks.amax(-1)


def _dense(x: ScanInputs) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Returns B and C with their states side by side, D and the bias dense, and starts as bytes."""
    B, C = (t if t.stride(2) == 1 or t.shape[2] == 1 else t.contiguous() for t in (x.B, x.C))
    D, bias = (None if t is None else t.contiguous() for t in (x.D, x.dt_bias))
    return B, C, D, bias, as_bytes(x.starts)


def _tokens_first(parts: Tensor, like: Tensor) -> Tensor:
    """Returns the sum over blocks of `[blocks b n s]` as `[b s n]`."""
    return parts.sum(0).transpose(1, 2).to(like.dtype).contiguous()


def _state_strides(state: Tensor | None) -> tuple[int, ...]:
    """Returns the strides of `[b d n]` as those of `[b chunks n d]` with one chunk."""
    if state is None:
        return 0, 0, 0, 0
    return state.stride(0), 0, state.stride(2), state.stride(1)


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    return other if tensor is None else tensor
