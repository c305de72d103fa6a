"""Times the Mamba-1 scans of this project against mambapy's parallel scan and transformers' path, in one run.

    pip install -e '.[bench]'
    python benchmarks/scan.py                       # all three parts
    python benchmarks/scan.py --parts training      # forward and backward, against mambapy
    python benchmarks/scan.py --parts prefill       # forward alone, (1, 800, 5120), against transformers
    python benchmarks/scan.py --parts memory        # peak memory of the C scan at (4, 1024, 1024)

The contestants take turns, so that whatever else the machine does falls on all of them; medians are compared. Errors
are max|error| / max|reference| against the sequential scan in float64, the worst of the output and all gradients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from interleave import Claim, Report, clock_for, counted, ratio, take_turns
from torch import Tensor

from cobra_kit_mamba import scan_ops
from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.scan_chunked import chunked_scan
from cobra_kit_mamba.scan_reference import sequential_scan

NAMES = ("u", "dt", "A", "B", "C", "D", "z", "dt_bias")
PARTS = ["memory", "training", "prefill"]
GOALS = {("mambapy", "C"): 30.0, ("chunked", "C"): 8.0}
"""How many times longer the first should take than the second at (8, 256, 512) on two cores."""

Scan = Callable[..., Tensor]


def contestants() -> dict[str, Scan]:
    """Returns the scans that can run here, and says which cannot."""
    scans: dict[str, Scan] = {}
    try:
        from mambapy.pscan import pscan
    except ImportError:
        print("mambapy is not installed: not run. It comes with pip install 'cobra-kit[bench]'.")
    else:

        def mambapy(
            u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, dt_bias: Tensor
        ) -> Tensor:
            dt = F.softplus(dt + dt_bias)
            decays = torch.exp(dt.unsqueeze(-1) * A)
            states = pscan(decays, (dt * u).unsqueeze(-1) * B.unsqueeze(2))
            y: Tensor = ((states @ C.unsqueeze(-1)).squeeze(-1) + D * u) * F.silu(z)
            return y

        scans["mambapy"] = mambapy

    def chunked(
        u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, dt_bias: Tensor
    ) -> Tensor:
        return chunked_scan(u, dt, A, B, C, D, z, dt_bias, None)[0]

    scans["chunked"] = chunked
    if load_native().library is None:
        print(f"the C scan cannot run here: {load_native().reason}")
        return scans

    def native(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, dt_bias: Tensor) -> Tensor:
        y: Tensor = scan_ops.scan(u, dt, A, B, C, D, z, dt_bias, None, None, True)[0]
        return y

    scans["C"] = native
    return scans


def scan_inputs(b: int, s: int, d: int, n: int) -> list[Tensor]:
    """Returns inputs with the decays of a model at its start: A = -(1..n), time steps around 0.05."""
    g = torch.Generator().manual_seed(0)
    shapes = ((b, s, d), (b, s, d), (d, n), (b, s, n), (b, s, n), (d,), (b, s, d), (d,))
    inputs = [torch.randn(shape, generator=g) for shape in shapes]
    inputs[2] = -torch.arange(1.0, n + 1).repeat(d, 1)
    inputs[7] = inputs[7] * 0.5 - 3
    return inputs


def outputs(scan: Scan, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """Returns y and the gradients of the inputs: one forward and one backward pass."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = scan(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, weights)]


def forward_and_backward(report: Report, shape: tuple[int, int, int], d_state: int, rounds: int) -> None:
    """Times all scans, and compares their outputs and gradients with the exact ones."""
    b, s, d = shape
    scans, threads = contestants(), torch.get_num_threads()
    inputs = scan_inputs(b, s, d, d_state)
    weights = torch.randn(b, s, d, generator=torch.Generator().manual_seed(1))
    exact = outputs(lambda *x: sequential_scan(*x)[0], [x.double() for x in inputs], weights.double())
    errors: dict[str, tuple[float, str]] = {}
    for name, scan in scans.items():  # also the warm-up
        compared = zip(("y", *NAMES), outputs(scan, inputs, weights), exact, strict=True)
        errors[name] = max((float((a - e).abs().max() / e.abs().max()), label) for label, a, e in compared)

    calls = {name: partial(outputs, scan, inputs, weights) for name, scan in scans.items()}
    times = take_turns(calls, rounds, clock_for(threads))
    title = f"scan forward + backward at ({b}, {s}, {d}), d_state {d_state}"
    report.add(title, times, threads=threads)
    title += f", {counted(threads)}"
    for name, (error, label) in errors.items():
        goal = 1e-6 if name == "C" else None
        report.claim(Claim(f"worst error of {name} (in {label}), {title}", error, "", goal, at_least=False))
    names = list(scans)
    for slow, fast in ((x, y) for i, x in enumerate(names) for y in names[i + 1 :]):
        goal = GOALS.get((slow, fast)) if (*shape, d_state) == (8, 256, 512, 16) else None
        report.claim(Claim(f"time of {slow} over {fast}, {title}", ratio(times, slow, fast), "x", goal))


def prefill(report: Report, rounds: int) -> None:
    """Times the scan of a prompt of 800 tokens at the width of Cobra-3B, against transformers' own path."""
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    inputs = scan_inputs(1, 800, 5120, 16)
    u, dt, A, B, C, D, z, bias = inputs
    turned = [x.transpose(1, 2).contiguous() for x in (u, dt, B, C, z)]

    def theirs() -> Tensor:
        u, dt, B, C, z = turned
        y: Tensor = mamba_selective_scan(u, dt, A, B, C, D, z=z, delta_bias=bias, delta_softplus=True)
        return y

    def ours() -> Tensor:
        y: Tensor = scan_ops.scan(*inputs, None, None, False)[0]
        return y

    title, threads = "scan of a prompt of 800 tokens at d_inner 5120, forward", torch.get_num_threads()
    with torch.no_grad():
        error = float((ours() - theirs().transpose(1, 2)).abs().max())
        times = take_turns({"transformers": theirs, "C": ours}, rounds, clock_for(threads))
    report.add(title, times, threads=threads)
    title += f", {counted(threads)}"
    report.claim(Claim(f"largest difference between transformers and C, {title}", error, ""))
    what = f"time of transformers over C, {title}"
    report.claim(Claim(what, ratio(times, "transformers", "C"), "x", 50))


def peak_memory(report: Report) -> None:
    """Measures the growth of the process during the first forward and backward pass of the C scan.

    The highest memory of a process never falls, so this comes before everything else.
    """
    import resource

    outputs(lambda *x: scan_ops.scan(*x, None, None, True)[0], scan_inputs(1, 8, 8, 16), torch.ones(1, 8, 8))
    inputs, weights = scan_inputs(4, 1024, 1024, 16), torch.ones(4, 1024, 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tensors = outputs(lambda *x: scan_ops.scan(*x, None, None, True)[0], inputs, weights)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    held = sum(tensor.nbytes for tensor in tensors) / 1e6
    what = f"growth of the process at (4, 1024, 1024), {held:.0f} MB of it outputs and gradients"
    report.claim(Claim(what, grown, "MB", 130, at_least=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--shape", type=int, nargs=3, default=(8, 256, 512), metavar=("B", "L", "D"))
    parser.add_argument("--state", type=int, default=16, help="states per channel")
    parser.add_argument("--rounds", type=int, default=7, help="timed passes of each scan")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of torch and the C scan, in turn")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    report = Report("scan")
    report.notes.append("Errors are max|error| / max|reference| against the sequential scan in float64.")
    report.notes.append("One thread: processor time of the process; more: time on the wall.")
    if "memory" in options.parts:
        peak_memory(report)
    for threads in options.threads:
        torch.set_num_threads(threads)
        if "training" in options.parts:
            forward_and_backward(report, tuple(options.shape), options.state, options.rounds)
        if "prefill" in options.parts:
            prefill(report, options.rounds)
    report.write(options.out)


if __name__ == "__main__":
    main()
