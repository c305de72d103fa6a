"""Times decoding and training with one thread and with two, alone and beside another process that keeps a core busy.

    python benchmarks/contention.py
    python benchmarks/contention.py --rounds 3 --spin default

Two threads that wait for each other lose to other work on the same cores, and lose most if waiting means spinning: the
thread that is waited for does not run because another spins. The figure is what two threads cost beside a busy core
over what one costs there.

Each contestant is a process of its own, which imports torch first, as a library's user does: nothing in its environment
says how threads wait. They take turns; while one works the others sleep. A time is the mean over the tokens, or steps,
of a turn, because a step that is held up is held up by a whole slice of the scheduler. The busy process is not pinned.
Decoding is that of `decode.py`; training is a step, optimiser included, of the size of `mamba/tiny`. `--spin default`
leaves waiting as torch brings it, for comparison.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import torch
import torch.nn.functional as F
from interleave import Claim, Report, Times, counted, ratio

from cobra_kit.interfaces import FusedSequence, LayoutBatch
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.native import load_native

THREADS = (1, 2)
TOKENS, STEPS = 60, 6
"""Of a turn, decoding and training."""

ROWS, LENGTH = 8, 128
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")
GOAL = 1.5


def model_of(width: int, layers: int) -> MambaBackbone:
    config = MambaConfig(d_model=width, n_layer=layers, vocab_size=8192, tokenizer="small", weights="none")
    model = MambaBackbone(config)
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model


def decoding() -> Callable[[], object]:
    model = model_of(256, 8).eval()
    state = model.new_state(1, 1, device=torch.device("cpu"), dtype=torch.float32)

    @torch.inference_mode()
    def token() -> None:
        model.logits(model.step(model.embed(torch.tensor([5])), state))

    return token


def training() -> Callable[[], object]:
    model = model_of(128, 2).train()
    optimiser = torch.optim.AdamW(model.parameters())
    ids = torch.randint(0, 8192, (ROWS, LENGTH), generator=torch.Generator().manual_seed(1))
    layout = LayoutBatch(
        source=torch.zeros(ROWS, LENGTH, dtype=torch.int64),
        segment_ids=torch.ones(ROWS, LENGTH, dtype=torch.int32),
        positions=torch.arange(LENGTH).expand(ROWS, LENGTH),
        labels=None,
        cu_seqlens=torch.arange(ROWS + 1, dtype=torch.int32) * LENGTH,
        lengths=(LENGTH,) * ROWS,
    )

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        logits = model.logits(model(FusedSequence(model.embed(ids.flatten()).view(ROWS, LENGTH, -1), layout)))
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        optimiser.step()

    return step


def contestant(work: str, threads: int) -> None:
    """Works a turn for every line that comes in, and answers with the milliseconds of a token or step."""
    torch.set_num_threads(threads)
    call, count = (decoding(), TOKENS) if work == "decoding" else (training(), STEPS)
    call()
    print(json.dumps({"kernel": load_native().reason}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(count):
            call()
        print(1e3 * (time.perf_counter() - start) / count, flush=True)


class Contestant:
    """A process that works when it is told to."""

    def __init__(self, work: str, threads: int, spin: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in WAITING}
        if spin == "default":
            environment["KMP_BLOCKTIME"] = "200"  # GNU's OpenMP reads it not; to us it says that somebody has chosen
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--as", work, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.kernel = str(json.loads(self._answer())["kernel"])

    def turn(self) -> float:
        """Returns the milliseconds of a token or step."""
        print(file=self._pipe(self._process.stdin), flush=True)
        return float(self._answer())

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str:
        return self._pipe(self._process.stdout).readline() or sys.exit("a contestant has died")

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keeps one core busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(0.2)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(report: Report, work: str, rounds: int, spin: str) -> None:
    """Times one kind of work and claims what two threads cost over one."""
    contestants = {counted(threads): Contestant(work, threads, spin) for threads in THREADS}
    try:
        report.note(f"{work}: C kernels {next(iter(contestants.values())).kernel}.")
        for beside, place in (("alone", contextlib.nullcontext), ("beside one busy core", busy_core)):
            times: Times = {name: [] for name in contestants}
            with place():
                for turn in range(rounds + 1):
                    for name, contestant in contestants.items():
                        taken = contestant.turn()
                        if turn:  # the first one warms up
                            times[name].append(taken)
            report.add(f"{work} {beside}", times)
            slow, fast = counted(THREADS[1]), counted(THREADS[0])
            goal = GOAL if beside != "alone" else None
            what = f"time of {slow} over {fast}, {work} {beside}"
            report.claim(Claim(what, ratio(times, slow, fast), goal=goal, at_least=False))
    finally:
        for contestant in contestants.values():
            contestant.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help=f"turns of {TOKENS} tokens, or of {STEPS} steps")
    parser.add_argument("--spin", choices=["ours", "default"], default="ours", help="how threads wait for each other")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    parser.add_argument("--as", dest="contestant", nargs=2, metavar=("WORK", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        contestant(options.contestant[0], int(options.contestant[1]))
        return
    report = Report("contention")
    report.note("Time on the wall; the mean over a turn counts as one call. The busy process is a loop in Python.")
    for work in ("decoding", "training"):
        measure(report, work, options.rounds, options.spin)
    report.write(options.out)


if __name__ == "__main__":
    main()
