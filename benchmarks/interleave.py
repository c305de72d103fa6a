"""What the benchmarks share: contestants that take turns, the clock, the machine, and a file of what was found.

Contestants of one run take turns, so that whatever else the machine does falls on all of them; medians are compared. A
claim is a number with its goal; `docs/performance.md` is made from the files that `Report.write` writes.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cobra_kit.machine import package_versions, processor, vector_bits

Clock = Callable[[], float]
Times = dict[str, list[float]]


def take_turns(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Clock = time.perf_counter,
    *,
    burst: int = 1,
    skip: int = 0,
) -> Times:
    """Returns the milliseconds of every call.

    Args:
        contestants: By name.
        rounds: How many turns each gets.
        clock: In seconds.
        burst: Calls of a turn.
        skip: How many of them come first and do not count: another's turn has left the caches cold.
    """
    times: Times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            for number in range(burst):
                start = clock()
                call()
                if number >= skip:
                    times[name].append(1e3 * (clock() - start))
    return times


def clock_for(threads: int) -> Clock:
    """Returns the processor's own time for one thread, which other work disturbs less, else the time on the wall."""
    return time.process_time if threads == 1 else time.perf_counter


def counted(threads: int) -> str:
    """Returns `1 thread`, `2 threads`."""
    return f"{threads} thread{'' if threads == 1 else 's'}"


def ratio(times: Times, slow: str, fast: str) -> float:
    """Returns how many times longer one takes than the other, by medians."""
    return statistics.median(times[slow]) / statistics.median(times[fast])


@dataclass(slots=True)
class Claim:
    """A number that is claimed.

    Args:
        what: What was measured.
        value: What was found.
        unit: `x`, `%`, `ms`, `MB`, or nothing.
        goal: What it should be, or None.
        at_least: Whether the value should reach the goal; else it should not exceed it.
    """

    what: str
    value: float
    unit: str = "x"
    goal: float | None = None
    at_least: bool = True

    def __str__(self) -> str:
        goal = "" if self.goal is None else f", goal {'at least' if self.at_least else 'at most'} {self.goal:g}"
        return f"{self.what}: {self.value:.3g} {self.unit}{goal}"


@dataclass(slots=True)
class Report:
    """What a run of a benchmark found.

    Args:
        benchmark: Its name.
        notes: What a reader must know to read the numbers.
        timings: A dict per contestant: what, milliseconds, rounds, threads.
        claims: What is claimed.
    """

    benchmark: str
    notes: list[str] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    def add(self, title: str, times: Times, **settings: Any) -> None:
        """Keeps and prints the times of one comparison."""
        print(f"\n{title}" + "".join(f", {name} {value}" for name, value in settings.items()))
        print(f"{'':34}{'median ms':>11}{'best ms':>10}{'worst ms':>10}{'calls':>7}   load {os.getloadavg()[0]:.1f}")
        for name, taken in times.items():
            median, best, worst = statistics.median(taken), min(taken), max(taken)
            print(f"{name:34}{median:11.3f}{best:10.3f}{worst:10.3f}{len(taken):7}")
            figures = {"median_ms": round(median, 4), "best_ms": round(best, 4), "calls": len(taken)}
            self.timings.append({"comparison": title, "contestant": name, **figures, **settings})

    def note(self, text: str) -> None:
        """Keeps and prints a line that a reader of the numbers needs."""
        print(text)
        self.notes.append(text)

    def claim(self, claim: Claim) -> None:
        """Keeps and prints a claim."""
        print(claim)
        self.claims.append(claim)

    def write(self, path: Path | None) -> None:
        """Writes everything as JSON with the machine, the date and the command; with None, nothing."""
        if path is None:
            return
        command = f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".strip()
        content = {
            "benchmark": self.benchmark,
            "date": datetime.now(UTC).date().isoformat(),
            "command": command,
            "machine": machine(),
            "notes": self.notes,
            "claims": [{**asdict(claim), "value": float(f"{claim.value:.4g}")} for claim in self.claims],
            "timings": self.timings,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Returns what the numbers depend on: processor, cores, load and versions."""
    wide = ", AVX-512" if vector_bits() == 512 else ""
    installed = package_versions(("torch", "transformers", "mambapy"))
    return {
        "processor": f"{processor()}{wide}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version for name, version in installed.items() if version},
    }
