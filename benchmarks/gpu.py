"""Everything that needs a GPU, in one command of at most eight minutes: kernels, decoding, training.

    python benchmarks/gpu.py --out gpu.json          # on a machine with a GPU
    python benchmarks/gpu.py --dry                   # on any machine: tiny sizes, to see that it runs

Needs torch, triton, transformers, timm, pydantic and pluggy beside the project, and no network: weights are random,
which times do not depend on. Sections come in the order of their worth; one that fails says so and the others go on,
and one that would begin after `--minutes` is listed as not run. The file is written anew after every section.

- kernels: our scan, convolution and one-token step against plain PyTorch and against mamba_ssm where it imports, their
  errors against float64, and the share of the memory bandwidth that they reach.
- decoding: Cobra-3B's shapes in bfloat16 by the paper's protocol, with and without a CUDA graph, beside the same model
  with Pythia-2.8B, and beside Pythia-2.8B through transformers' plain `generate`.
- training: optimiser steps of Cobra-3B's shapes: tokens per second, model FLOPs utilisation, and where the time goes.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from gpu_decoding import decoding
from gpu_kernels import kernels
from gpu_training import training
from interleave import Report

from cobra_kit.bench import measure_bandwidth

Section = Callable[[Report, torch.device, bool], None]
SECTIONS: dict[str, Section] = {"kernels": kernels, "decoding": decoding, "training": training}


def describe(report: Report, device: torch.device, *, dry: bool) -> None:
    """Notes what the numbers were measured on."""
    if dry:
        report.notes.append("DRY RUN: tiny sizes, to see that everything runs. These numbers say nothing.")
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        report.notes.append(
            f"{gpu.name}, {gpu.total_memory / 1e9:.0f} GB, {gpu.multi_processor_count} multiprocessors, "
            f"compute capability {gpu.major}.{gpu.minor}, CUDA {torch.version.cuda}"
        )
    else:
        report.notes.append("No GPU: on the CPU.")
    bandwidth = measure_bandwidth(device, size=1 << 22 if dry else None)
    report.notes.append(
        f"Memory bandwidth, measured: copy {bandwidth.copy / 1e9:,.0f} GB/s, triad {bandwidth.triad / 1e9:,.0f}, "
        f"read {bandwidth.read / 1e9:,.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections to run")
    parser.add_argument("--minutes", type=float, default=7.0, help="begin no section after this time")
    parser.add_argument("--dry", action="store_true", help="tiny sizes, on the CPU too")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.dry:
        parser.error("there is no GPU here. --dry runs everything at tiny sizes, to see that it works.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    report, started = Report("gpu"), time.monotonic()
    describe(report, device, dry=options.dry)
    print("\n".join(report.notes))
    failed = []
    for name in options.only:
        minutes = (time.monotonic() - started) / 60
        if minutes > options.minutes:
            report.note(f"{name}: not run, {minutes:.1f} minutes had passed")
            continue
        print(f"\n=== {name}, after {minutes:.1f} minutes")
        try:
            SECTIONS[name](report, device, options.dry)
        except Exception as error:  # the other sections still count, and a borrowed machine does not come twice
            traceback.print_exc()
            report.note(f"{name}: failed, {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            failed.append(name)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        report.write(options.out)
    print(f"\n=== claims, after {(time.monotonic() - started) / 60:.1f} minutes")
    print("\n".join([*map(str, report.claims), "", *report.notes]))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
