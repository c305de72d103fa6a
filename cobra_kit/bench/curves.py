"""Time per token over the context, model against model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from cobra_kit.bench.crossing import Crossover, crossover
from cobra_kit.bench.results import Measurement


def curves(measurements: Sequence[Measurement]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Returns per setting (dtype and rows), per subject, its (context, seconds per token), contexts rising.

    A context reached with an image and one reached with text alone stand on one curve: to a backbone they are the
    same.
    """
    by_setting: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for measurement in measurements:
        rows = "1 row" if measurement.batch == 1 else f"{measurement.batch} rows"
        curve = by_setting.setdefault(f"{measurement.dtype}, {rows}", {}).setdefault(measurement.subject, [])
        curve.append((measurement.context, measurement.step.median))
    return {setting: {name: sorted(curve) for name, curve in own.items()} for setting, own in by_setting.items()}


def crossovers(measurements: Sequence[Measurement]) -> dict[str, Crossover]:
    """Returns where curves cross, for each pair of a model with a state of constant size and one whose state grows.

    Two models of one kind have no crossing to look for: what differs between their curves is their size, or noise.
    Keys read `float32, 1 row: mamba, transformer`.
    """
    growing = {measurement.subject for measurement in measurements if measurement.traffic.cache}
    crossings: dict[str, Crossover] = {}
    for setting, own in curves(measurements).items():
        for constant, other in product(own, own):
            if constant in growing or other not in growing:
                continue
            crossing = crossover(constant, own[constant], other, own[other])
            if crossing is not None:
                crossings[f"{setting}: {constant}, {other}"] = crossing
    return crossings
