"""From FLOPs to hours and dollars on accelerators."""

from __future__ import annotations

from dataclasses import dataclass

from cobra_kit.estimate.calibration import implied_utilisation
from cobra_kit.estimate.hardware import Hardware

SMALLEST = 100_000_000
"""Trained parameters below which kernels are so short that starting them, not computing, takes the time; the constant
says nothing about such a model."""


@dataclass(frozen=True, slots=True)
class RunCost:
    """The hours and the price of a training on some devices.

    Args:
        hours: Hours of wall clock.
        price: US dollars, all devices together.
    """

    hours: float
    price: float


def cost(flops: float, hardware: Hardware, devices: int, *, price: float | None = None) -> RunCost:
    """Returns hours and price of so much computing.

    Args:
        flops: Operations of the whole training.
        hardware: The kind of device that computes.
        devices: How many devices compute; what they lose to each other is in the constant, which eight gave.
        price: Dollars per device and hour; None: the hardware's.
    """
    hours = flops / (devices * hardware.peak_flops * implied_utilisation()) / 3600
    return RunCost(hours, hours * devices * (hardware.price if price is None else price))
