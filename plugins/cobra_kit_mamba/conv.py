"""The causal depthwise convolution with SiLU as the model calls it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import full_precision
from cobra_kit_mamba import conv_ops, decode_ops
from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.peers import Asked, peer_conv
from cobra_kit_mamba.selection import choose_conv, choose_step, compute_dtype, steppable, steppable_on_device
from cobra_kit_mamba.shapes import check_shapes


def causal_conv_silu(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None = None, starts: Tensor | None = None
) -> Tensor:
    """Returns silu of the convolution, `[b s d]` in the dtype of x, computed in float32 (float64 if x is).

    Args:
        x: `[b s d]`.
        weight: `[d taps]`; the last tap is the current token's.
        bias: `[d]` or None.
        before: The tokens before the first, `[b taps-1 d]`; None: zeros.
        starts: `[b s]`, true where a token begins a segment and sees none before it; None: nowhere.

    Raises:
        ShapeError: The shapes do not belong together.
        KernelError: `COBRA_KIT_MAMBA_KERNEL` asks for a kernel that cannot be had.
    """
    if x.dim() != 3 or weight.dim() != 2:
        raise ShapeError(
            f"the convolution takes x [b s d] and weight [d taps], not {list(x.shape)} and {list(weight.shape)}"
        )
    (rows, length, channels), taps = x.shape, weight.shape[1]
    expected: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "weight": (weight, (channels, taps)),
        "bias": (bias, (channels,)),
        "before": (before, (rows, taps - 1, channels)),
        "starts": (starts, (rows, length)),
    }
    check_shapes("the convolution", "x", x.device, expected)
    given = [tensor for tensor in (x, weight, bias, before) if tensor is not None]
    dtype = compute_dtype(*(tensor.dtype for tensor in given))
    strides = (x.shape[-1], *(x.stride()[:2] if x.stride(-1) == 1 else (1,)))
    asked = Asked(tuple(t.dtype for t in given), starts is not None, before is not None, strides=strides)
    choice = choose_conv(x.device, dtype, weight.shape[1], asked)
    kernel = "chunked" if x.numel() == 0 else choice.kernel
    if kernel == "triton":
        y: Tensor = conv_ops.conv(x, weight, bias, before, starts)
        return y
    if kernel == "mamba_ssm":
        return peer_conv(x, weight, bias, before, starts)
    wide, weight = x.to(dtype), weight.to(dtype)
    bias, before = None if bias is None else bias.to(dtype), None if before is None else before.to(dtype)
    with full_precision(x.device):
        if kernel == "native":
            y = conv_ops.conv(wide, weight, bias, before, starts)
        else:
            y = reference_conv(wide, weight, bias, before, starts)
    return y.to(x.dtype)


def conv_silu_step(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Returns the output `[b d]` of one token and pushes x into the state in place.

    Args:
        state: The last inputs, `[b d taps]`, newest last.
        x: The new inputs, `[b d]`.
        weight: Weights of each channel's taps, `[d taps]`.
        bias: Bias of each channel, `[d]`, or None.

    Raises:
        ShapeError: The shapes do not belong together.
        KernelError: `COBRA_KIT_MAMBA_KERNEL` asks for a kernel that cannot be had.
    """
    if x.dim() != 2 or weight.dim() != 2:
        raise ShapeError(
            f"a step of the convolution takes x [b d] and weight [d taps], not {list(x.shape)} and {list(weight.shape)}"
        )
    (rows, channels), taps = x.shape, weight.shape[1]
    expected: dict[str, tuple[Tensor | None, tuple[int, ...]]] = {
        "state": (state, (rows, channels, taps)),
        "weight": (weight, (channels, taps)),
        "bias": (bias, (channels,)),
    }
    check_shapes("the convolution's step", "x", x.device, expected)
    dtype = compute_dtype(state.dtype, x.dtype, weight.dtype)
    dtypes = tuple(tensor.dtype for tensor in (state, x, weight))
    choice = choose_step(x.device, dtype, taps=weight.shape[1], asked=Asked(dtypes))
    on_device = choice.kernel == "triton" and steppable_on_device(state, x, weight, bias)
    if on_device or (choice.kernel == "native" and steppable(state, x, weight, bias)):
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        decode_ops.conv_step(state, x, weight, bias, out)
        return out
    state.copy_(torch.cat([state[:, :, 1:], x.unsqueeze(-1).to(state.dtype)], dim=-1))
    y = (state.to(dtype) * weight.to(dtype)).sum(-1)
    return F.silu(y if bias is None else y + bias.to(dtype)).to(x.dtype)
