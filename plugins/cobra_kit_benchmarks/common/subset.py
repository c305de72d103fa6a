"""Parts of a benchmark by a stated rule, which vlm-evaluation states, too: shuffle the places, take the first ones.

The places 0, 1, ... of the questions, in the order of the official file, are shuffled once by Python's
`random.Random(21).shuffle`; `slim` is the first 1,024 of them (per split for POPE), in the order of the file. So a
smaller part lies within a larger one, and the part depends on nothing but the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from cobra_kit_benchmarks.common.items import Item

Subset = Literal["full", "slim"]
SLIM = 1024
SEED = 21


def choose(items: Sequence[Item], subset: Subset, *, per_group: bool = False) -> tuple[Item, ...]:
    """Returns the items of a part, in their order.

    Args:
        items: All questions, in the order of the official files.
        subset: `full` or `slim`.
        per_group: Whether `slim` is that many questions of every group.
    """
    if subset == "full":
        return tuple(items)
    places = list(range(len(items)))
    Random(SEED).shuffle(places)
    kept: list[int] = []
    taken: dict[str, int] = {}
    for place in places:
        group = items[place].group if per_group else ""
        if taken.get(group, 0) < SLIM:
            taken[group] = taken.get(group, 0) + 1
            kept.append(place)
    return tuple(items[place] for place in sorted(kept))
