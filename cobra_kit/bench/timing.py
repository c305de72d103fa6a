"""Seconds on a device, what is usual among them, and rounds that treat every case alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

import torch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the quartiles of repeated measurements.

    Args:
        median: The middle one.
        low: The lower quartile.
        high: The upper quartile.
        count: How many measurements there were.
    """

    median: float
    low: float
    high: float
    count: int

    def scaled(self, factor: float) -> Spread:
        """Returns the same in another unit, `factor` above 0."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.count)

    def inverse(self, amount: float) -> Spread:
        """Returns rates: `amount` per each of these; the lower quartile is that of the rates."""
        return Spread(amount / self.median, amount / self.high, amount / self.low, self.count)


def spread(values: Sequence[float]) -> Spread:
    """Returns median and quartiles of at least one value; of a few, the quartiles lie between them."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high, len(values))


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Returns how long work takes, until the device has done it."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Waits until the device has done everything that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True, slots=True)
class Rounds:
    """The measurements of all rounds.

    Args:
        values: Per case the measurements of the rounds that counted, in order.
        interrupted: Whether Ctrl-C ended them early.
    """

    values: Mapping[str, list[list[float]]]
    interrupted: bool


def rounds(
    cases: Mapping[str, Callable[[], list[float]]],
    *,
    warmup: int,
    repeats: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Rounds:
    """Runs every case once per round, so that a disturbance of the machine meets all of them alike.

    Args:
        cases: The function that measures each case once, by name.
        warmup: Rounds that do not count: they compile, capture and fill caches.
        repeats: Rounds that count.
        report: Called with (rounds done, rounds in all).
    """
    seconds: dict[str, list[list[float]]] = {name: [] for name in cases}
    try:
        for number in range(warmup + repeats):
            report(number, warmup + repeats)
            for name, measure in cases.items():
                taken = measure()
                if number >= warmup:
                    seconds[name].append(taken)
    except KeyboardInterrupt:
        return Rounds(seconds, interrupted=True)
    return Rounds(seconds, interrupted=False)
