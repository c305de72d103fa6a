"""The machines that a table's runs were made on, and what to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cobra_kit.formatting import plural

_WHY = (
    "Results of training differ between processors from the first steps on: verdicts rest on the spread over seeds "
    "instead."
)
_UNKNOWN = "not recorded"


@dataclass(frozen=True, slots=True)
class RunMachine:
    """A machine, with the threads and the torch version that runs had on it; what is not recorded is None.

    Args:
        processor: The processor's model.
        vector_bits: Width of its vector registers in bits.
        threads: Threads of each run.
        torch: Version of torch.
        accelerator: The GPU that trained, None where the processor did.
        runs: How many of the table's runs were worked on there.
    """

    processor: str | None = None
    vector_bits: int | None = None
    threads: int | None = None
    torch: str | None = None
    accelerator: str | None = None
    runs: int = 1


def machine_line(machines: Sequence[RunMachine]) -> str:
    """Returns where runs were made and why that matters, one paragraph for the foot of a table."""
    if not machines:
        return f"Machine, threads and torch version of the runs: {_UNKNOWN}. {_WHY}"
    if len(machines) == 1:
        return f"Runs were made on: {_label(machines[0])}. {_WHY}"
    listed = "; ".join(f"{_label(machine)} ({_runs(machine.runs)})" for machine in machines)
    return f"Runs were made on {len(machines)} machines or settings: {listed}. {_WHY}"


def _label(machine: RunMachine) -> str:
    known = (machine.processor, machine.vector_bits, machine.threads, machine.torch, machine.accelerator)
    if known == (None,) * len(known):
        return f"machine, threads and torch version {_UNKNOWN}"
    parts = [
        *([machine.accelerator] if machine.accelerator else []),
        machine.processor or f"processor {_UNKNOWN}",
        f"vector width {_UNKNOWN}" if machine.vector_bits is None else f"{machine.vector_bits}-bit vectors",
        f"threads {_UNKNOWN}" if machine.threads is None else f"{plural(machine.threads, 'thread')} per run",
        f"torch version {_UNKNOWN}" if machine.torch is None else f"torch {machine.torch}",
    ]
    return ", ".join(parts)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
