"""Modules of a mixer whose weights are read where they lie, unless something is attached to them: then they are called.

`conv1d` and `dt_proj` hold weights that go into operators of their own, in float32. A hook on them, an adapter around
them or another class in their place must act all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from cobra_kit.errors import ShapeError


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Returns whether a module is just what was built: of that class, and nothing runs around it when it is called."""
    return type(module) is kind and not is_hooked(module)


def is_hooked(module: nn.Module) -> bool:
    """Returns whether calling a module does more than its class's `forward`."""
    return "forward" in module.__dict__ or any(hooks_of(module)) or any(HOOKS_OF_ALL)


HOOKS_OF_ALL: tuple[Mapping[int, Any], ...] = (
    *(torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks),
    *(torch_module._global_backward_hooks, torch_module._global_backward_pre_hooks),
)
"""What runs around every module that is called."""


def hooks_of(module: nn.Module) -> tuple[Mapping[int, Any], ...]:
    """Returns what runs around a module when it is called."""
    return (
        *(module._forward_hooks, module._forward_pre_hooks),
        *(module._backward_hooks, module._backward_pre_hooks),
    )


def called_conv(
    conv1d: nn.Module, x: Tensor, taps: int, before: Tensor | None = None, starts: Tensor | None = None
) -> Tensor:
    """Returns silu of a convolution that is called as a module, `[b s d]` in the dtype of x.

    Args:
        conv1d: Takes `[b d s + taps - 1]` and returns `[b d s]`, as an unpadded `nn.Conv1d` does.
        x: `[b s d]`.
        taps: How many tokens the convolution sees.
        before: The tokens before the first, `[b taps-1 d]`; None: zeros.
        starts: `[b s]`, true where a token begins a segment: zeros are put before it, so that it sees none before it.

    Raises:
        ShapeError: The convolution returned another shape.
    """
    gap, (rows, length, _) = taps - 1, x.shape
    places = torch.arange(length, device=x.device).expand(rows, -1)
    if starts is not None:
        places = places + starts.long().cumsum(1) * gap
    if before is None:
        places, before = places + gap, x[:, :0]
    count = int(places.max()) + 1 if starts is not None else int(length + gap - before.shape[1])
    wide = x.new_zeros(rows, count, x.shape[2]).scatter(1, places.unsqueeze(-1).expand(x.shape), x)
    inputs = torch.cat([before.to(x.dtype), wide], 1).transpose(1, 2)
    outputs = conv1d(inputs)
    expected = (rows, x.shape[2], inputs.shape[2] - gap)
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) != expected:
        shape = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ShapeError(f"conv1d ({type(conv1d).__name__}) returned {shape}, not {list(expected)}")
    ends = places + before.shape[1] - gap
    return F.silu(outputs.transpose(1, 2).gather(1, ends.unsqueeze(-1).expand(x.shape))).to(x.dtype)


def called_conv_step(conv1d: nn.Module, state: Tensor, x: Tensor) -> Tensor:
    """Returns the output `[b d]` of one token by calling the convolution, and pushes x into `[b d taps]` in place."""
    mixed = called_conv(conv1d, x.unsqueeze(1), state.shape[2], state[:, :, 1:].transpose(1, 2).clone())
    state.copy_(torch.cat([state[:, :, 1:], x.unsqueeze(-1).to(state.dtype)], dim=-1))
    return mixed[:, 0]
