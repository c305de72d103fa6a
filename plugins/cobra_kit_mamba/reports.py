"""Says which kernel each layer of a Mamba model would use."""

from __future__ import annotations

import torch
from torch import Tensor

from cobra_kit.interfaces import KernelReport
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.mamba2_config import MambaTwoConfig
from cobra_kit_mamba.peers import Asked
from cobra_kit_mamba.selection import Choice, choose_conv, choose_dual, choose_scan, choose_step, compute_dtype

_STEP = "no kernel of its own for one token in this version"


def kernel_reports(config: MambaConfig, parameter: Tensor, obstacle: str | None = None) -> list[KernelReport]:
    """Returns a line for the scan, the convolution and the decode step of every layer.

    Args:
        config: The model's sizes.
        parameter: Any of its parameters, of any shape, for the device and dtype.
        obstacle: Why the model cannot decode in one call of C; see `step_plan.StepPlan`.
    """
    device, dtype = parameter.device, compute_dtype(parameter.dtype)
    stored = parameter.dtype
    scan = choose_scan(device, dtype, config.d_state, Asked((stored, dtype)))  # the time steps are in `dtype`
    conv = choose_conv(device, dtype, config.d_conv, Asked((stored,), strides=(config.d_inner, 2 * config.d_inner)))
    step = choose_step(device, dtype, d_state=config.d_state, taps=config.d_conv, asked=Asked((stored, dtype)))
    if step.library is not None and obstacle is not None:
        exact = stored is torch.float32
        step = Choice(step.library if exact else None, f"block by block, not in one call: {obstacle}", step.remedy)
    reports = []
    for i in range(config.n_layer):
        layer = f"backbone.layers.{i}.mixer"
        reports.append(_report(f"{layer} scan", scan, "chunked PyTorch"))
        reports.append(_report(f"{layer} convolution", conv, "PyTorch", peer="causal_conv1d"))
        reports.append(_report(f"{layer} step", step, "PyTorch, in place"))
    return reports


def mamba2_kernel_reports(config: MambaTwoConfig, parameter: Tensor) -> list[KernelReport]:
    """Returns the same for Mamba-2, whose state space layer is plain PyTorch without mamba_ssm."""
    stored = parameter.dtype
    asked = Asked((stored,), strides=(config.d_conv_channels, config.d_inner + config.d_conv_channels + config.n_heads))
    conv = choose_conv(parameter.device, compute_dtype(stored), config.d_conv, asked)
    dual = choose_dual(parameter.device, Asked((stored,)))
    reports = []
    for i in range(config.n_layer):
        layer = f"backbone.layers.{i}.mixer"
        reports.append(_report(f"{layer} state space", dual, "chunked PyTorch"))
        reports.append(_report(f"{layer} convolution", conv, "PyTorch", peer="causal_conv1d"))
        reports.append(KernelReport(f"{layer} step", "PyTorch, in place", _STEP))
    return reports


def _report(layer: str, choice: Choice, otherwise: str, peer: str = "mamba_ssm") -> KernelReport:
    titles = {"native": "C", "triton": "Triton", "mamba_ssm": peer, "chunked": otherwise}
    return KernelReport(layer, titles[choice.kernel], choice.reason, choice.remedy)
