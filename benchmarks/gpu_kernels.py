"""The part of `gpu.py` about kernels: right first, then fast."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from interleave import Claim, Report, ratio, take_turns
from torch import Tensor

from cobra_kit.bench import measure_bandwidth
from cobra_kit.errors import KernelError
from cobra_kit_mamba.conv import causal_conv_silu
from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.native_calls import ScanInputs
from cobra_kit_mamba.scan import selective_scan
from cobra_kit_mamba.scan_reference import sequential_scan
from cobra_kit_mamba.selection import SWITCH
from cobra_kit_mamba.triton_kernels.traffic import scan_backward_traffic, scan_forward_traffic

PREFILL, SMALL = (1, 800, 5120, 16), (2, 77, 64, 16)
KERNELS = ("triton", "mamba_ssm", "chunked")
CALLS = 20
"""Launches of one measured turn: a single one is shorter than the clock is good for."""

Inputs = dict[str, Tensor]


def kernels(report: Report, device: torch.device, dry: bool) -> None:
    """Checks and times the scan and the convolution."""
    bandwidth = measure_bandwidth(device, size=1 << 22 if dry else None).best
    report.notes.append(f"kernels: bandwidth {bandwidth / 1e9:,.0f} GB/s, {CALLS} calls per measured turn")
    usable = [kernel for kernel in KERNELS if _usable(report, kernel, device)]
    for kernel in usable:
        _check(report, kernel, device)
    _check_conv(report, device)
    shape = SMALL if dry else PREFILL
    for dtype in (torch.bfloat16, torch.float32):
        _time_scan(report, usable, shape, dtype, device, bandwidth)
    _time_conv(report, shape, device, bandwidth)


def scan_inputs(shape: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device) -> Inputs:
    """Returns random inputs as a trained model has them; D, A and the bias stay float32."""
    rows, length, channels, states = shape
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    wide, narrow = (rows, length, channels), (rows, length, states)
    given = {"u": draw(*wide), "dt": draw(*wide) - 2, "B": draw(*narrow), "C": draw(*narrow), "z": draw(*wide)}
    fixed = {"A": -torch.exp(draw(channels, states)), "D": draw(channels), "dt_bias": draw(channels)}
    return {n: t.to(device, dtype) for n, t in given.items()} | {n: t.to(device) for n, t in fixed.items()}


@contextmanager
def only(kernel: str) -> Iterator[None]:
    """Has the Mamba plugin take one kernel and no other for the length of a block."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = kernel
    try:
        yield
    finally:
        os.environ.pop(SWITCH)
        if before is not None:
            os.environ[SWITCH] = before


def _usable(report: Report, kernel: str, device: torch.device) -> bool:
    inputs = scan_inputs(SMALL, torch.float32, device)
    try:
        with only(kernel):
            selective_scan(**inputs)
    except KernelError as error:
        report.note(f"kernels: {kernel} is not run: {error.message}")
        return False
    return True


def _check(report: Report, kernel: str, device: torch.device) -> None:
    """Claims the errors of outputs and gradients in float32 against a sequential scan in float64."""
    inputs = scan_inputs(SMALL, torch.float32, device)
    exact = {name: tensor.double().cpu().requires_grad_() for name, tensor in inputs.items()}
    theirs = sequential_scan(*(exact[n] for n in ("u", "dt", "A", "B", "C", "D", "z", "dt_bias")))[0]
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.autograd.grad(theirs, list(exact.values()), weights)
    leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    with only(kernel):
        y = selective_scan(**leaves)
        got = torch.autograd.grad(y, list(leaves.values()), weights.to(y))
    pairs = [(y, theirs), *zip(got, expected, strict=True)]
    errors = [float((a.double().cpu() - b).abs().max() / b.abs().max()) for a, b in pairs]
    worst = max(errors) if all(map(math.isfinite, errors)) else math.inf
    report.claim(Claim(f"scan, {kernel}: worst error of output and gradients", worst, "", 1e-6, at_least=False))


def _check_conv(report: Report, device: torch.device) -> None:
    x, weight, bias = _conv_inputs(SMALL, torch.float32, device)
    exact = reference_conv(x.double(), weight.double(), bias.double())
    error = float((causal_conv_silu(x, weight, bias).double() - exact).abs().max() / exact.abs().max())
    report.claim(Claim("convolution: worst error of the output", error, "", 1e-6, at_least=False))


def _time_scan(
    report: Report,
    kernels: list[str],
    shape: tuple[int, int, int, int],
    dtype: torch.dtype,
    device: torch.device,
    bandwidth: float,
) -> None:
    inputs, name = scan_inputs(shape, dtype, device), str(dtype).removeprefix("torch.")
    trained = {key: tensor.clone().requires_grad_() for key, tensor in inputs.items()}
    forward = {kernel: _repeated(kernel, partial(_forward, inputs), device) for kernel in kernels}
    both = {kernel: _repeated(kernel, partial(_both, trained), device) for kernel in kernels}
    least = _least_bytes(inputs)
    for title, contestants, moved in (
        ("scan forward", forward, least[0]),
        ("scan forward and backward", both, sum(least)),
    ):
        for call in contestants.values():
            call()  # compiles
        times = take_turns(contestants, 5)
        report.add(f"{title}, {shape}, {CALLS} calls", times, dtype=name)
        floor = moved / bandwidth * 1e3
        for kernel in kernels:
            taken = statistics.median(times[kernel]) / CALLS
            goal = 2.0 if (kernel, title, dtype) == ("triton", "scan forward", torch.bfloat16) else None
            what = f"{title} {shape} {name}, {kernel}: its time against {moved / 1e6:.1f} MB at the bandwidth"
            report.claim(Claim(what, taken / floor, goal=goal, at_least=False))
        if {"triton", "mamba_ssm"} <= set(kernels):
            report.claim(Claim(f"{title} {name}, triton against mamba_ssm", ratio(times, "triton", "mamba_ssm")))


def _least_bytes(inputs: Inputs) -> tuple[int, int]:
    """Returns the bytes of every input and output once, of the forward and of the backward pass."""
    given = ScanInputs(**inputs)
    return scan_forward_traffic(given).least, scan_backward_traffic(given).least


def _forward(inputs: Inputs) -> Tensor:
    with torch.no_grad():
        return selective_scan(**inputs)


def _both(inputs: Inputs) -> tuple[Tensor, ...]:
    y = selective_scan(**inputs)
    return torch.autograd.grad(y, list(inputs.values()), torch.ones_like(y))


def _repeated(kernel: str, work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    def run() -> None:
        with only(kernel):
            for _ in range(CALLS):
                work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


def _conv_inputs(shape: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    rows, length, channels, _ = shape
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    return tuple(t.to(device, dtype) for t in (draw(rows, length, channels), draw(channels, 4), draw(channels)))


def _time_conv(report: Report, shape: tuple[int, int, int, int], device: torch.device, bandwidth: float) -> None:
    given = _conv_inputs(shape, torch.bfloat16, device)

    def work() -> None:
        with torch.no_grad():
            causal_conv_silu(*given)

    run = _repeated("auto", work, device)
    run()
    times = take_turns({"convolution": run}, 5)
    report.add(f"convolution with SiLU, {shape[:3]}, {CALLS} calls", times, dtype="bfloat16")
    floor = 2 * given[0].numel() * 2 / bandwidth * 1e3
    taken = statistics.median(times["convolution"]) / CALLS
    report.claim(Claim("convolution bfloat16: its time against reading and writing once", taken / floor))
