"""Times the Mamba-1 scans of this project against mambapy's parallel scan, forward and backward, in one run.

    pip install -e '.[bench]'
    python benchmarks/scan.py                       # forward and backward
    python benchmarks/scan.py --prefill             # forward alone, (1, 800, 5120), against transformers
    python benchmarks/scan.py --memory              # peak memory of the C scan at (4, 1024, 1024)

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

from cobra_kit_mamba import ops
from cobra_kit_mamba.native import load_native
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
    if load_native().library is None:
        print(f"the C scan cannot run here: {load_native().reason}")
        return scans

    def native(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, dt_bias: Tensor) -> Tensor:
        y: Tensor = ops.scan(u, dt, A, B, C, D, z, dt_bias, None, None, True)[0]
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


def prefill(rounds: int) -> None:
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
        y: Tensor = ops.scan(*inputs, None, None, False)[0]
        return y

    times: dict[str, list[float]] = {"transformers": [], "C": []}
    with torch.no_grad():
        error = float((ours() - theirs().transpose(1, 2)).abs().max())
        for _ in range(rounds):
            for name, run in (("transformers", theirs), ("C", ours)):
                start = time.perf_counter()
                run()
                times[name].append(1e3 * (time.perf_counter() - start))
    print(f"\nprefill, (1, 800, 5120), forward, {torch.get_num_threads()} thread(s); largest difference {error:.1e}")
    for name, taken in times.items():
        print(f"{name:14}{statistics.median(taken):11.1f} ms median{min(taken):11.1f} ms best")
    slow, fast = times.values()
    medians = statistics.median(slow) / statistics.median(fast)
    print(f"C is {medians:.1f}x faster (medians), {min(slow) / min(fast):.1f}x (best)")


def peak_memory() -> None:
    """Prints the growth of the process during the first forward and backward pass of the C scan."""
    import resource

    outputs(lambda *x: ops.scan(*x, None, None, True)[0], scan_inputs(1, 8, 8, 16), torch.ones(1, 8, 8))
    inputs, weights = scan_inputs(4, 1024, 1024, 16), torch.ones(4, 1024, 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = outputs(lambda *x: ops.scan(*x, None, None, True)[0], inputs, weights)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    held = sum(tensor.nbytes for tensor in found) / 1e6
    print(f"(4, 1024, 1024): the process grew by {grown:.0f} MB, {held:.0f} MB of it outputs and gradients")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(8, 256, 512), metavar=("B", "L", "D"))
    parser.add_argument("--state", type=int, default=16, help="states per channel")
    parser.add_argument("--rounds", type=int, default=7, help="timed passes of each scan")
    parser.add_argument("--threads", type=int, help="of torch and the C scan; default: torch's own")
    parser.add_argument("--prefill", action="store_true", help="time a prompt's forward pass against transformers")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.prefill:
        prefill(options.rounds)
    elif options.memory:
        peak_memory()
    else:
        forward_and_backward(options)


def forward_and_backward(options: argparse.Namespace) -> None:
    """Times all scans and prints the table."""
    b, s, d = options.shape

    scans = contestants()
    inputs = scan_inputs(b, s, d, options.state)
    weights = torch.randn(b, s, d, generator=torch.Generator().manual_seed(1))
    exact = outputs(lambda *x: sequential_scan(*x)[0], [x.double() for x in inputs], weights.double())
    errors: dict[str, tuple[float, str]] = {}
    for name, scan in scans.items():  # also the warm-up
        found = zip(("y", *NAMES), outputs(scan, inputs, weights), exact, strict=True)
        errors[name] = max((float((a - e).abs().max() / e.abs().max()), label) for label, a, e in found)

    # With one thread the processor's own time, which other work on the machine disturbs less.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in scans}
    for _ in range(options.rounds):
        for name, scan in scans.items():
            start = clock()
            outputs(scan, inputs, weights)
            times[name].append(1e3 * (clock() - start))

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
        print(f"{fast} is {ratio:.1f}x faster than {slow} ({min(times[slow]) / min(times[fast]):.1f}x by the best)")


if __name__ == "__main__":
    main()
