"""Time per token over the context, model against model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from cobra_kit.bench.crossing import Crossover, crossover
from cobra_kit.bench.results import Measurement


def curves(measurements: Sequence[Measurement]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Returns per setting (dtype and rows), per subject, its (context, seconds per token), contexts rising.

    A context reached with a picture and one reached with text alone stand on one curve: to a backbone they are the
    same.
    """
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for one in measurements:
        rows = "1 row" if one.batch == 1 else f"{one.batch} rows"
        curve = found.setdefault(f"{one.dtype}, {rows}", {}).setdefault(one.subject, [])
        curve.append((one.context, one.step.median))
    return {setting: {name: sorted(curve) for name, curve in own.items()} for setting, own in found.items()}


def crossovers(measurements: Sequence[Measurement]) -> dict[str, Crossover]:
    """Returns where curves cross, for each pair of a model with a state of constant size and one whose state grows.

    Two models of one kind have no crossing to look for: what differs between their curves is their size, or noise.
    Keys read `float32, 1 row: mamba, transformer`.
    """
    growing = {one.subject for one in measurements if one.traffic.cache}
    found: dict[str, Crossover] = {}
    for setting, own in curves(measurements).items():
        for one, other in product(own, own):
            if one in growing or other not in growing:
                continue
            crossing = crossover(one, own[one], other, own[other])
            if crossing is not None:
                found[f"{setting}: {one}, {other}"] = crossing
    return found
