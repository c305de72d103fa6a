"""Times the Mamba-1 scans of this project against mambapy's parallel scan, forward and backward, in one run.

    pip install -e '.[bench]'
    python benchmarks/scan.py

The contestants take turns, so that whatever else the machine does falls on all of them; medians are compared. Errors
are max|error| / max|reference| against the sequential scan in float64, the worst of the output and all gradients.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cobra_kit_mamba.native import load_native
from cobra_kit_mamba.native_ops import native_scan
from cobra_kit_mamba.scan_chunked import chunked_scan
from cobra_kit_mamba.scan_reference import sequential_scan

NAMES = ("u", "dt", "A", "B", "C", "D", "z", "dt_bias")
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
    library = load_native().library
    if library is None:
        print(f"the C scan cannot run here: {load_native().reason}")
        return scans

    def native(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, dt_bias: Tensor) -> Tensor:
        return native_scan(library, u, dt, A, B, C, D, z, dt_bias, None)[0]

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(8, 256, 512), metavar=("B", "L", "D"))
    parser.add_argument("--state", type=int, default=16, help="states per channel")
    parser.add_argument("--rounds", type=int, default=7, help="timed passes of each scan")
    parser.add_argument("--threads", type=int, help="of torch and the C scan; default: torch's own")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    b, s, d = options.shape

    scans = contestants()
    inputs = scan_inputs(b, s, d, options.state)
    weights = torch.randn(b, s, d, generator=torch.Generator().manual_seed(1))
    exact = outputs(lambda *x: sequential_scan(*x)[0], [x.double() for x in inputs], weights.double())
    errors: dict[str, tuple[float, str]] = {}
    for name, scan in scans.items():  # also the warm-up
        found = zip(("y", *NAMES), outputs(scan, inputs, weights), exact, strict=True)
        errors[name] = max((float((a - e).abs().max() / e.abs().max()), label) for label, a, e in found)

    times: dict[str, list[float]] = {name: [] for name in scans}
    for _ in range(options.rounds):
        for name, scan in scans.items():
            start = time.perf_counter()
            outputs(scan, inputs, weights)
            times[name].append(1e3 * (time.perf_counter() - start))

    print(f"\n({b}, {s}, {d}), d_state {options.state}, float32, forward + backward, {options.rounds} rounds in turn")
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"\n{'scan':10}{'median ms':>11}{'best ms':>10}{'worst ms':>10}   worst error")
    for name, taken in times.items():
        error, label = errors[name]
        figures = f"{statistics.median(taken):11.1f}{min(taken):10.1f}{max(taken):10.1f}"
        print(f"{name:10}{figures}   {error:.1e} ({label})")
    print()
    names = list(scans)
    for slow, fast in ((x, y) for i, x in enumerate(names) for y in names[i + 1 :]):
        ratio = statistics.median(times[slow]) / statistics.median(times[fast])
        print(f"{fast} is {ratio:.1f}x faster than {slow}")


if __name__ == "__main__":
    main()
