"""The devices of a study's models: the processor, or a GPU per worker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from cobra_kit.errors import CobraError
from cobra_kit.machine import cores

AUTO, CPU, CUDA = "auto", "cpu", "cuda"
Device = Literal["auto", "cpu", "cuda"]
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def choose_device(wanted: str) -> str:
    """Returns `cpu` or `cuda`.

    Args:
        wanted: One of them, or `auto`: a GPU where torch sees one.

    Raises:
        CobraError: There is no such device.
    """
    if wanted not in (AUTO, CPU, CUDA):
        raise CobraError(f"no device named {wanted!r}", where="--device", hint=f"Devices: {AUTO}, {CPU}, {CUDA}.")
    if wanted == CPU:
        return CPU
    from cobra_kit.model.device import device_named

    return device_named(wanted).type


def worker_environment(worker: int, workers: int, device: str) -> dict[str, str]:
    """Returns the environment variables by which the workers of a machine keep out of each other's way.

    `OMP_NUM_THREADS` of the user's may lower a worker's share of the cores, and not raise it: it was set for a process.

    Args:
        worker: Number of the worker, from 0.
        workers: How many workers share the machine.
        device: `cpu`: they share the cores; `cuda`: each has one GPU, in turn where there are fewer.
    """
    threads = max(1, cores() // workers)
    variables = {"OMP_NUM_THREADS": str(min(threads, _asked_threads() or threads))}
    if device == CUDA:
        visible = _visible_gpus(os.environ)
        variables[_VISIBLE] = visible[worker % len(visible)]
    return variables


def threads_of_run() -> int:
    """Returns how many threads train and ask a run of `cobra-kit run` on the CPU: one, or what `OMP_NUM_THREADS` says.

    Threads share out sums, and so change the last bits of a result. One, whatever the number of cores and of workers,
    gives the same table on a small machine and a large one; and runs side by side use the cores better than threads of
    one run, which wait for each other at every operation.
    """
    return _asked_threads() or 1


def side_by_side_environment(number: int, workers: int, device: str) -> dict[str, str]:
    """Returns the environment variables of one of a `run`'s workers.

    Args:
        number: Which one, from 0.
        workers: How many there are.
        device: `cpu` or `cuda`.
    """
    if device == CPU:
        return {"OMP_NUM_THREADS": str(threads_of_run())}
    return worker_environment(number, workers, device)


@contextmanager
def run_threads(device: str) -> Iterator[None]:
    """Gives torch the threads of one run for the length of a block; on a GPU it keeps those it has."""
    if device != CPU:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads_of_run())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _asked_threads() -> int | None:
    """Returns what `OMP_NUM_THREADS` asks for; None where it is not set, or is no number that OpenMP would take.

    It may be a list, of one number per level of nesting, of which the first counts.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) or None if first.isdecimal() else None


def _visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Returns the GPUs to share out, as the variable lists them: its entries may be UUIDs, which no number replaces."""
    if listed := [gpu.strip() for gpu in environment.get(_VISIBLE, "").split(",") if gpu.strip()]:
        return listed
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
