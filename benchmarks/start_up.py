"""Times what a user waits for before anything happens: the command line and the import, against importing torch.

    python benchmarks/start_up.py

Each is a process of its own, on the wall, in turn; the first round does not count: it fills the caches of the disk.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from interleave import Claim, Report, ratio, take_turns

COMMAND = [sys.executable, "-m", "cobra_kit"]
VALIDATE = ["recipes", "validate", "cobra_tiny"]
FIRST_LOOK = f"""
import os, tempfile
from cobra_kit.cli import main
with tempfile.TemporaryDirectory() as folder:
    os.environ["COBRA_KIT_CACHE"] = folder
    raise SystemExit(main({VALIDATE}))
"""
"""Nothing is remembered: torch is imported, and the parts are built on the meta device."""

CONTESTANTS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import cobra_kit": [sys.executable, "-c", "import cobra_kit"],
    "cobra-kit --help": [*COMMAND, "--help"],
    "cobra-kit plugins list": [*COMMAND, "plugins", "list"],
    "cobra-kit recipes validate cobra_tiny": [*COMMAND, *VALIDATE],
    "cobra-kit recipes validate cobra_tiny, the first time": [sys.executable, "-c", FIRST_LOOK],
    "import torch": [sys.executable, "-c", "import torch"],
    "import transformers.MambaForCausalLM": [sys.executable, "-c", "from transformers import MambaForCausalLM"],
}
OURS = list(CONTESTANTS)[1:6]
GOALS = {
    "cobra-kit --help": 500.0,
    "cobra-kit plugins list": 500.0,
    "cobra-kit recipes validate cobra_tiny": 1500.0,
    "cobra-kit recipes validate cobra_tiny, the first time": 2500.0,
}
"""Milliseconds at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="processes of each kind")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    calls = {
        name: partial(subprocess.run, command, check=True, capture_output=True) for name, command in CONTESTANTS.items()
    }
    take_turns(calls, 1)
    times = take_turns(calls, options.rounds, time.perf_counter)
    report = Report("start_up", notes=["Time on the wall of a process of its own, the interpreter's start included."])
    report.add("start of a process", times)
    for name in OURS:
        report.claim(Claim(f"median of {name}", statistics.median(times[name]), "ms", GOALS.get(name), at_least=False))
    for name in GOALS:
        report.claim(Claim(f"time of import torch over {name}", ratio(times, "import torch", name)))
    report.write(options.out)


if __name__ == "__main__":
    main()
