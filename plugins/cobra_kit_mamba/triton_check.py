"""Compares the Triton kernels with plain PyTorch on small random numbers, on the device they are to run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.scan_chunked import chunked_scan
from cobra_kit_mamba.triton_kernels import calls, scan_calls

TOLERANCE = 1e-4
"""Largest error, relative to the largest value. A GPU's exponential is good to 2e-7, and a state remembers errors."""

_ROWS, _LENGTH, _CHANNELS, _STATE, _TAPS, _EPS = 1, 11, 9, 3, 4, 1e-5

Random = Callable[..., Tensor]
Compared = Iterator[tuple[str, Tensor, Tensor]]


def check(device: torch.device) -> str | None:
    """Returns what is wrong with the kernels' results, or None: outputs and gradients, segments, one token."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float32, device="cpu")

    starts = torch.zeros(_ROWS, _LENGTH, dtype=torch.bool, device="cpu")
    starts[0, 5] = True
    for compared in (_scan, _conv, _norm, _step):
        for name, ours, theirs in compared(device, random, starts):
            error = float((ours.cpu() - theirs).abs().max() / theirs.abs().max())
            if not error <= TOLERANCE:  # NaN too
                return f"the Triton {name} failed its self-check: relative error {error:.1e}, allowed {TOLERANCE:.0e}"
    return None


def _scan(device: torch.device, random: Random, starts: Tensor) -> Compared:
    wide, narrow, states = (_ROWS, _LENGTH, _CHANNELS), (_ROWS, _LENGTH, _STATE), (_ROWS, _CHANNELS, _STATE)
    given = [random(*wide), random(*wide), -random(_CHANNELS, _STATE).abs(), random(*narrow), random(*narrow)]
    given += [random(_CHANNELS), random(*wide), random(_CHANNELS), random(*states)]
    weights = [random(*wide), random(*states)]
    u, dt, A, B, C, D, z, bias, initial = (tensor.to(device) for tensor in given)
    inputs = ScanInputs(u, dt, A, B, C, D, z, bias, starts.to(device))
    outputs = scan_calls.scan_forward(inputs, initial)
    gradients = scan_calls.scan_backward(inputs, weights[0].to(device), weights[1].to(device), initial)
    leaves = [tensor.requires_grad_() for tensor in given]
    with torch.enable_grad():
        u, dt, A, B, C, D, z, bias, initial = leaves
        theirs = chunked_scan(u, dt, A, B, C, D, z, bias, initial, starts)
    expected = torch.autograd.grad(theirs, leaves, weights)
    for ours, other in zip((*outputs, *gradients), (*(t.detach() for t in theirs), *expected), strict=True):
        assert ours is not None
        yield "scan", ours, other


def _conv(device: torch.device, random: Random, starts: Tensor) -> Compared:
    given = [random(_ROWS, _LENGTH, _CHANNELS), random(_CHANNELS, _TAPS), random(_CHANNELS)]
    given += [random(_ROWS, _TAPS - 1, _CHANNELS)]
    grad = random(_ROWS, _LENGTH, _CHANNELS)
    x, weight, bias, before = (tensor.to(device) for tensor in given)
    y = calls.conv_forward(x, weight, bias, before, starts.to(device))
    gradients = calls.conv_backward(x, weight, bias, before, starts.to(device), grad.to(device))
    leaves = [tensor.requires_grad_() for tensor in given]
    with torch.enable_grad():
        x, weight, bias, before = leaves
        theirs = reference_conv(x, weight, bias, before, starts)
    for ours, other in zip((y, *gradients), (theirs.detach(), *torch.autograd.grad(theirs, leaves, grad)), strict=True):
        assert ours is not None
        yield "convolution", ours, other


def _norm(device: torch.device, random: Random, starts: Tensor) -> Compared:
    x, added, weight = random(_LENGTH, _CHANNELS), random(_LENGTH, _CHANNELS), random(_CHANNELS)
    grads = [random(_LENGTH, _CHANNELS), random(_LENGTH, _CHANNELS)]
    total, y, rstd = calls.norm_forward(x.to(device), added.to(device), weight.to(device), _EPS)
    ours = calls.norm_backward(total, weight.to(device), rstd, grads[1].to(device), grads[0].to(device))
    leaves = [tensor.requires_grad_() for tensor in (x, weight)]
    with torch.enable_grad():
        summed = leaves[0] + added
        theirs = summed, F.rms_norm(summed, weight.shape, leaves[1], _EPS)
    expected = torch.autograd.grad(theirs, leaves, grads)
    for result, other in zip((total, y, *ours), (*(t.detach() for t in theirs), *expected), strict=True):
        yield "norm", result, other


def _step(device: torch.device, random: Random, starts: Tensor) -> Compared:
    wide, narrow = (_ROWS, _CHANNELS), (_ROWS, _STATE)
    u, dt, z, B, C = random(*wide), random(*wide), random(*wide), random(*narrow), random(*narrow)
    A, D, bias = -random(_CHANNELS, _STATE).abs(), random(_CHANNELS), random(_CHANNELS)
    state, past, weight = random(_ROWS, _CHANNELS, _STATE), random(_ROWS, _CHANNELS, _TAPS), random(_CHANNELS, _TAPS)
    tokens = [tensor.unsqueeze(1) for tensor in (u, dt, B, C, z)]
    y, last = chunked_scan(tokens[0], tokens[1], A, tokens[2], tokens[3], D, tokens[4], bias, state)
    convolved = reference_conv(tokens[0], weight, None, past[:, :, 1:].transpose(1, 2).contiguous())
    given = ScanInputs(*(tensor.to(device) for tensor in (u, dt, A, B, C, D, z, bias)))
    for log_A in (False, True):
        ours, out = state.to(device, copy=True), torch.empty_like(u, device=device)
        calls.scan_step(ours, replace(given, A=torch.log(-given.A)) if log_A else given, out, log_A=log_A)
        yield "step", out, y[:, 0]
        yield "step", ours, last
    inputs, out = past.to(device, copy=True), torch.empty_like(u, device=device)
    calls.conv_step(inputs, given.u, weight.to(device), None, out)
    yield "step of the convolution", out, convolved[:, 0]
    yield "step of the convolution", inputs[:, :, -1], u
