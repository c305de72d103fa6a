"""Compares freshly loaded C kernels with plain PyTorch on small random numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit_mamba import native_calls as calls
from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.native_calls import TAPS, ScanInputs
from cobra_kit_mamba.native_decode import PARAMETERS, decode_step
from cobra_kit_mamba.scan_chunked import chunked_scan

TOLERANCE = 1e-5
"""Largest error, relative to the largest value: ten times what sound kernels show."""

_EPS = 1e-5
_ROWS, _LENGTH, _CHANNELS, _STATE = 2, 19, 75, 6  # several chunks, and a last vector that is not full


def self_check(library: ctypes.CDLL) -> str | None:
    """Returns what is wrong with the library's results, or None: outputs and gradients, segments, one token."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float32, device="cpu")

    starts = torch.zeros(_ROWS, _LENGTH, dtype=torch.uint8, device="cpu")
    starts[0, 5] = starts[1, 17] = 1
    checks = {"scan": _scan, "convolution": _conv, "norm": _norm, "step": _step, "decode step": _decode}
    for name, check in checks.items():
        ours, theirs = check(library, random, starts)
        errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True)]
        error = next((error for error in errors if not error <= TOLERANCE), None)  # NaN too, which max() may lose
        if error is not None:
            return f"the C {name} failed its self-check: relative error {error:.1e}, allowed {TOLERANCE:.0e}"
    return None


Random = Callable[..., Tensor]
Results = tuple[Sequence[Tensor], Sequence[Tensor]]


def _scan(library: ctypes.CDLL, random: Random, starts: Tensor) -> Results:
    wide, narrow = (_ROWS, _LENGTH, _CHANNELS), (_ROWS, _LENGTH, _STATE)
    inputs = [random(*wide), random(*wide), -random(_CHANNELS, _STATE).abs(), random(*narrow), random(*narrow)]
    inputs += [random(_CHANNELS), random(*wide), random(_CHANNELS)]
    initial, weights = random(_ROWS, _CHANNELS, _STATE), [random(*wide), random(_ROWS, _CHANNELS, _STATE)]
    u, dt, A, B, C, D, z, bias = inputs
    given = ScanInputs(u, dt, A, B, C, D, z, bias, starts)
    y, last, kept = calls.scan_forward(library, given, initial, keep=True)
    gradients = calls.scan_backward(library, given, kept, weights[0], weights[1], initial=True)
    leaves = [tensor.requires_grad_() for tensor in (*inputs, initial)]
    with torch.enable_grad():
        theirs = chunked_scan(u, dt, A, B, C, D, z, bias, initial, starts)
    expected = torch.autograd.grad(theirs, leaves, weights)
    present = [gradient for gradient in gradients if gradient is not None]
    return (y, last, *present), (*(t.detach() for t in theirs), *expected)


def _conv(library: ctypes.CDLL, random: Random, starts: Tensor) -> Results:
    x, weight, bias = random(_ROWS, _LENGTH, _CHANNELS), random(_CHANNELS, TAPS), random(_CHANNELS)
    before, grad = random(_ROWS, TAPS - 1, _CHANNELS), random(_ROWS, _LENGTH, _CHANNELS)
    y = calls.conv_forward(library, x, weight, bias, before, starts)
    gradients = calls.conv_backward(library, x, weight, bias, before, starts, grad)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias, before)]
    with torch.enable_grad():
        theirs = reference_conv(x, weight, bias, before, starts)
    expected = torch.autograd.grad(theirs, leaves, grad)
    return (y, *(gradient for gradient in gradients if gradient is not None)), (theirs.detach(), *expected)


def _norm(library: ctypes.CDLL, random: Random, starts: Tensor) -> Results:
    x, added, weight = random(_LENGTH, _CHANNELS), random(_LENGTH, _CHANNELS), random(_CHANNELS)
    weights = [random(_LENGTH, _CHANNELS), random(_LENGTH, _CHANNELS)]
    total, y, rstd = calls.norm_forward(library, x, added, weight, _EPS)
    gradients = calls.norm_backward(library, total, weight, rstd, weights[1], weights[0])
    leaves = [tensor.requires_grad_() for tensor in (x, weight)]
    with torch.enable_grad():
        summed = leaves[0] + added
        theirs = summed, F.rms_norm(summed, weight.shape, leaves[1], _EPS)
    expected = torch.autograd.grad(theirs, leaves, weights)
    return (total, y, *gradients), (*(t.detach() for t in theirs), *expected)


def _step(library: ctypes.CDLL, random: Random, starts: Tensor) -> Results:
    wide, narrow = (_ROWS, _CHANNELS), (_ROWS, _STATE)
    u, dt, z, y = random(*wide), random(*wide), random(*wide), random(*wide)
    B, C, D, bias = random(*narrow), random(*narrow), random(_CHANNELS), random(_CHANNELS)
    A, state = -random(_CHANNELS, _STATE).abs(), random(_ROWS, _CHANNELS, _STATE)
    tokens = [tensor.unsqueeze(1) for tensor in (u, dt, B, C, z)]
    expected, last = chunked_scan(
        tokens[0], tokens[1], A, tokens[2], tokens[3], D, tokens[4], bias, initial_state=state.clone()
    )
    calls.scan_step(library, state, ScanInputs(u, dt, A, B, C, D, z, bias), y)
    past, weight, convolved = random(_ROWS, _CHANNELS, TAPS), random(_CHANNELS, TAPS), random(*wide)
    before = past[:, :, 1:].transpose(1, 2).contiguous()
    after = reference_conv(u.unsqueeze(1), weight, None, before)
    calls.conv_step(library, past, u, weight, None, convolved)
    return (y, state, convolved, past[:, :, -1]), (expected[:, 0], last, after[:, 0], u)


def _decode(library: ctypes.CDLL, random: Random, starts: Tensor) -> Results:
    rows, width, inner, rank = 5, 21, _CHANNELS, 3  # more rows than share the weights, and rest in every loop
    shapes: list[tuple[int, ...]] = [(width,), (2 * inner, width), (inner, 1, TAPS), (inner,)]
    shapes += [(rank + 2 * _STATE, inner), (inner, rank), (inner,), (inner, _STATE), (inner,), (width, inner)]
    parameters = [0.3 * random(*shape) for _ in range(2) for shape in shapes] + [random(width)]
    states = [random(rows, inner, size) for _ in range(2) for size in (TAPS, _STATE)]
    lengths = torch.arange(rows, dtype=torch.int32, device="cpu")
    embeddings, out = random(rows, width), random(rows, width)
    expected = _plain_decode(embeddings, parameters, [state.clone() for state in states])
    decode_step(library, embeddings, parameters, states, lengths, _EPS, out)
    return (out, *states, lengths), (*expected, torch.arange(1, rows + 1, dtype=torch.int32, device="cpu"))


def _plain_decode(residual: Tensor, parameters: Sequence[Tensor], states: Sequence[Tensor]) -> Sequence[Tensor]:
    after: list[Tensor] = []
    for i in range(0, len(states), 2):
        layer = len(PARAMETERS) * i // 2
        norm, in_proj, conv, conv_bias, x_proj, dt_proj, bias, log, skip, out_proj = parameters[layer:][:10]
        normed = F.rms_norm(residual, norm.shape, norm, _EPS)
        x, z = F.linear(normed, in_proj).unsqueeze(1).chunk(2, dim=-1)
        u = reference_conv(x, conv.squeeze(1), conv_bias, states[i][:, :, 1:].transpose(1, 2))
        low, B, C = torch.split(F.linear(u, x_proj), [dt_proj.shape[1], log.shape[1], log.shape[1]], dim=-1)
        y, last = chunked_scan(u, F.linear(low, dt_proj), -log.exp(), B, C, skip, z, bias, states[i + 1])
        after += torch.cat([states[i][:, :, 1:], x.transpose(1, 2)], dim=-1), last
        residual = residual + F.linear(y[:, 0], out_proj)
    return F.rms_norm(residual, parameters[-1].shape, parameters[-1], _EPS), *after
