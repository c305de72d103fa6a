"""The Triton kernels as CUDA kernels of the operators in `*_ops.py`: one operator, one gradient, two devices.

Nothing is kept for the backward pass of the scan, which computes the states again: `kept` is empty.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from torch import Tensor

from cobra_kit_mamba import conv_ops, decode_ops, norm_ops, scan_ops
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.operators import empty_for_none

_lock = Lock()
_registered = False


def register() -> None:
    """Gives the operators their CUDA kernels, once; under Triton's interpreter the CPU's kernels are replaced."""
    global _registered
    with _lock:
        if not _registered:
            _register()
            _registered = True


def _register() -> None:
    from cobra_kit_mamba.triton_kernels import calls, scan_calls
    from cobra_kit_mamba.triton_kernels.device import interpreted

    devices = ["cuda", "cpu"] if interpreted() else ["cuda"]

    # The arguments and results are those of the operator's schema.
    @scan_ops.scan.register_kernel(devices)
    def _(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
        u, dt, A, B, C, D, z, dt_bias, initial_state, starts, _ = given
        inputs = ScanInputs(u, dt, A, B, C, D, z, dt_bias, starts)
        return *scan_calls.scan_forward(inputs, initial_state), u.new_empty(0)

    @scan_ops.scan_backward.register_kernel(devices)
    def _(*given: Any) -> tuple[Tensor, ...]:
        u, dt, A, B, C, D, z, dt_bias, initial_state, starts, _, grad_y, grad_last = given
        inputs = ScanInputs(u, dt, A, B, C, D, z, dt_bias, starts)
        return empty_for_none(u, scan_calls.scan_backward(inputs, grad_y, grad_last, initial_state))

    @decode_ops.scan_step.register_kernel(devices)
    def _(state: Tensor, *given: Any) -> None:
        # The dispatcher leaves out what equals the schema's default.
        tensors, out, log_A = given[:8], given[8], bool(given[9:] and given[9])
        calls.scan_step(state, ScanInputs(*tensors), out, log_A=log_A)

    @conv_ops.conv_backward.register_kernel(devices)
    def _(*given: Any) -> tuple[Tensor, ...]:
        return empty_for_none(given[0], calls.conv_backward(*given))

    @norm_ops.norm.register_kernel(devices)
    def _(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        return calls.norm_forward(x, None, weight, eps)[1:]

    conv_ops.conv.register_kernel(devices)(calls.conv_forward)
    decode_ops.conv_step.register_kernel(devices)(calls.conv_step)
    norm_ops.add_norm.register_kernel(devices)(calls.norm_forward)
    norm_ops.norm_backward.register_kernel(devices)(calls.norm_backward)
