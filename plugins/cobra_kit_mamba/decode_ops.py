"""One token of decoding as torch operators that write a state in place, and have no gradient; see `operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.operators import SCAN_ARGUMENTS, library


@torch.library.custom_op(
    "cobra_kit_mamba::scan_step",
    mutates_args=("state", "out"),
    device_types="cpu",
    schema=f"(Tensor(a!) state, {SCAN_ARGUMENTS}, Tensor(b!) out, bool log_A=False) -> ()",
)
def scan_step(state: Tensor, *arguments: Any) -> None:
    """Advances the state `[b d n]` and writes the outputs `[b d]` to `out`; with `log_A`, A is the logarithm of -A."""
    # The dispatcher leaves out what equals the schema's default.
    tensors, out, log_A = arguments[:8], arguments[8], bool(arguments[9:] and arguments[9])
    calls.scan_step(library(), state, ScanInputs(*tensors), out, log_A=log_A)


@scan_step.register_fake
def _(*args: Tensor | bool | None) -> None:
    return None


@torch.library.custom_op(
    "cobra_kit_mamba::conv_step",
    mutates_args=("state", "out"),
    device_types="cpu",
    schema="(Tensor(a!) state, Tensor x, Tensor weight, Tensor? bias, Tensor(b!) out) -> ()",
)
def conv_step(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """Pushes x `[b d]` into the state `[b d 4]` and writes silu of the convolution to `out`; allocates nothing."""
    calls.conv_step(library(), state, x, weight, bias, out)


@conv_step.register_fake
def _(*args: Tensor | None) -> None:
    return None
