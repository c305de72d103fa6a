"""mamba_ssm's and causal_conv1d's kernels, where they are installed: what they can do, and calling them.

Both are built with nvcc, and neither is needed. mamba_ssm's scan takes one dtype for all it reads, no state carried in,
no gradient of the state carried out, and no segments. Releases differ in how a missing extension shows: an ImportError
at import, or a RuntimeError, then or at the first call; so the extension itself is looked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cobra_kit_mamba.triton_cache import secure_triton_cache

_SCAN_MODULE = "mamba_ssm.ops.selective_scan_interface"
_DUAL_CHUNK = 256
"""Tokens per chunk, as mamba_ssm's Mamba-2 has it."""

_CONV_TAPS = (2, 3, 4)
_CONV_WIDTH = 8
"""causal_conv1d reads tokens in rows only where their width and strides are multiples of this."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The wishes of a call for its kernel.

    Args:
        dtypes: Types of the tensors as they are stored.
        segments: Whether segments start within rows.
        carried: Whether a state (or past inputs) is carried in.
        state_gradient: Whether a gradient may come through the state carried out.
        strides: Strides of the tokens and their width: for the convolution.
    """

    dtypes: tuple[torch.dtype, ...]
    segments: bool = False
    carried: bool = False
    state_gradient: bool = False
    strides: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """A function of an installed package.

    Args:
        function: The function, or None.
        obstacle: Why there is none.
        remedy: The action that would help.
    """

    function: Callable[..., Any] | None
    obstacle: str = ""
    remedy: str | None = None


def scan_obstacle(asked: Asked) -> tuple[str, str | None] | None:
    """Returns why mamba_ssm's selective scan cannot be taken, and the remedy; None if it can."""
    peer = scan_function()
    if peer.function is None:
        return peer.obstacle, peer.remedy
    if asked.segments or asked.carried:
        what = "segments within rows" if asked.segments else "a state carried in"
        return f"mamba_ssm's scan cannot take {what}", None
    if asked.state_gradient:
        return "mamba_ssm's scan has no gradient of the last state", None
    if len(set(asked.dtypes)) > 1:
        names = ", ".join(sorted({str(dtype).removeprefix("torch.") for dtype in asked.dtypes}))
        return f"mamba_ssm's scan takes one dtype, and here are {names}", None
    return None


def conv_obstacle(taps: int, asked: Asked) -> tuple[str, str | None] | None:
    """Returns why causal_conv1d cannot be taken, and the remedy; None if it can."""
    peer = conv_function()
    if peer.function is None:
        return peer.obstacle, peer.remedy
    if taps not in _CONV_TAPS:
        return f"causal_conv1d has no kernel for {taps} taps", None
    if asked.segments and asked.carried:
        return "causal_conv1d cannot take segments and past inputs together", None
    if any(stride % _CONV_WIDTH for stride in asked.strides):
        return f"causal_conv1d takes widths and strides that are multiples of {_CONV_WIDTH}", None
    return None


def dual_obstacle(asked: Asked) -> tuple[str, str | None] | None:
    """Returns why mamba_ssm's state space layer of Mamba-2 cannot be taken, and the remedy; None if it can."""
    peer = dual_function()
    if peer.function is None:
        return peer.obstacle, peer.remedy
    if asked.segments and asked.carried:
        return "a state carried in and segments together are not tried", None
    if asked.dtypes[0] not in (torch.bfloat16, torch.float16):
        return "mamba_ssm multiplies float32 in TF32, of 10 bits", None
    return None


@cache
def scan_function() -> Peer:
    """Returns mamba_ssm's `selective_scan_fn`, looked for once."""
    return _find(_SCAN_MODULE, "selective_scan_fn", "selective_scan_cuda", "mamba_ssm")


@cache
def conv_function() -> Peer:
    """Returns causal_conv1d's `causal_conv1d_fn`, looked for once."""
    return _find("causal_conv1d", "causal_conv1d_fn", "causal_conv1d_cuda", "causal_conv1d")


@cache
def dual_function() -> Peer:
    """Returns mamba_ssm's `mamba_chunk_scan_combined`, for Mamba-2; it is Triton and needs no extension of its own."""
    return _find("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined", None, "mamba_ssm")


def peer_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Returns outputs `[b s d]` and last state `[b d n]`, as `scan.selective_scan` does, by mamba_ssm's kernel."""
    function = scan_function().function
    assert function is not None
    # It has tokens innermost, so whatever is in rows is copied there and back; A, D and the bias are float32.
    wide = [None if t is None else t.transpose(1, 2) for t in (u, dt, B, C, z)]
    D, dt_bias = (None if t is None else t.float() for t in (D, dt_bias))
    y, last = function(
        *(wide[0], wide[1], A.float(), wide[2], wide[3], D),
        z=wide[4], delta_bias=dt_bias, delta_softplus=True, return_last_state=True,
    )  # fmt: skip
    return y.transpose(1, 2), last


def peer_conv(x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, starts: Tensor | None) -> Tensor:
    """Returns silu of the convolution `[b s d]`, as `conv.causal_conv_silu` does, by causal_conv1d's kernel."""
    function = conv_function().function
    assert function is not None
    y: Tensor = function(
        x.transpose(1, 2), weight, bias,
        seq_idx=None if starts is None else starts.cumsum(1, dtype=torch.int32),
        initial_states=None if before is None else before.to(x.dtype).transpose(1, 2),
        activation="silu",
    )  # fmt: skip
    return y.transpose(1, 2)


def peer_dual(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    dt_bias: Tensor,
    initial_state: Tensor | None,
    starts: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Returns outputs `[b s h p]` and last state `[b h p n]` as `ssd.state_space_dual` does, by mamba_ssm's kernels."""
    function = dual_function().function
    assert function is not None
    y, last = function(
        *(x, dt, A, B, C, _DUAL_CHUNK), D=D, dt_bias=dt_bias, initial_states=initial_state,
        seq_idx=None if starts is None else starts.cumsum(1, dtype=torch.int32),
        dt_softplus=True, return_final_states=True,
    )  # fmt: skip
    return y, last


def _find(module: str, name: str, extension: str | None, package: str) -> Peer:
    try:
        if extension is not None:
            importlib.import_module(extension)
        function = getattr(importlib.import_module(module), name)
        secure_triton_cache()
    except ModuleNotFoundError as error:
        top = package.split(".")[0]
        if error.name == top or (error.name == extension and not _installed(top)):
            return Peer(None, f"{package} is not installed")
        return Peer(None, f"{package} lacks {error.name}", f"build {package} again, from source, with nvcc")
    except Exception as error:  # an extension for another torch or CUDA may raise anything
        first = str(error).splitlines()[0] if str(error) else ""
        text = f"{type(error).__name__}: {first}" if first else type(error).__name__
        return Peer(None, f"{package} does not load ({text})", f"build {package} again, from source, with nvcc")
    return Peer(function)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
