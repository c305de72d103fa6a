"""The decode step of a whole model through ctypes: float32 on the CPU, no gradients, nothing allocated."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

PARAMETERS = (
    "norm.weight",
    "mixer.in_proj.weight",
    "mixer.conv1d.weight",
    "mixer.conv1d.bias",
    "mixer.x_proj.weight",
    "mixer.dt_proj.weight",
    "mixer.dt_proj.bias",
    "mixer.A_log",
    "mixer.D",
    "mixer.out_proj.weight",
)
"""The parameters of a block in the order of decode.c."""


class _Workspace(threading.local):
    """A thread's memory for what a step holds between its parts; it grows to the largest model that asks."""

    floats: Tensor | None = None


_workspace = _Workspace()


def decode_step(
    library: ctypes.CDLL,
    embeddings: Tensor,
    parameters: Sequence[Tensor],
    states: Sequence[Tensor],
    lengths: Tensor,
    eps: float,
    out: Tensor,
) -> None:
    """Writes the normed hidden states `[b d_model]` to `out` and advances states and lengths in place.

    Args:
        library: The loaded C kernels.
        embeddings: The new tokens' embeddings, `[b d_model]`. All tensors are dense.
        parameters: The tensors `PARAMETERS` of every block, then the last norm's weight.
        states: Two tensors of every block, `[b d_inner 4]` and `[b d_inner d_state]`.
        lengths: `[b]` int32, tokens seen per row.
        eps: Epsilon of the norms.
        out: Written with the normed hidden states, `[b d_model]`.
    """
    (rows, width), (_, inner, d_state) = embeddings.shape, states[1].shape
    rank = parameters[PARAMETERS.index("mixer.dt_proj.weight")].shape[1]
    sizes = rows, width, inner, d_state, rank, torch.get_num_threads()
    library.cobra_decode_step(
        *(_addresses(parameters), _addresses(states), lengths.data_ptr(), embeddings.data_ptr(), out.data_ptr()),
        *(_floats(library.cobra_decode_work(*sizes)), eps, len(states) // 2, *sizes),
    )


def _addresses(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def _floats(count: int) -> int:
    """Returns the address of so many floats."""
    if _workspace.floats is None or _workspace.floats.numel() < count:
        _workspace.floats = torch.empty(count, dtype=torch.float32, device="cpu")
    return _workspace.floats.data_ptr()
