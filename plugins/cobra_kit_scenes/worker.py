"""Draws every n-th chunk of images: `python -m cobra_kit_scenes.worker FOLDER PLAN RANK WORKERS`.

An interpreter of its own instead of `multiprocessing`: nothing is forked from a process that holds torch
threads, and a user's script needs no `if __name__ == "__main__"`. It prints the number of images after
every chunk, and ends when its parent is gone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cobra_kit.processes import end_with_parent
from cobra_kit_scenes.images import CHUNK, draw_chunk
from cobra_kit_scenes.vocabulary import SPLITS


def chunks(sizes: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Returns (split, start, stop) of all images, in order."""
    return [
        (split, start, min(start + CHUNK, sizes[split]))
        for split in SPLITS
        for start in range(0, sizes.get(split, 0), CHUNK)
    ]


def work(
    folder: Path, seed: int, sizes: Mapping[str, int], rank: int, workers: int, report: Callable[[int], None]
) -> None:
    """Draws the chunks rank, rank + workers, ... and reports the images of each."""
    for name, start, stop in chunks(sizes)[rank::workers]:
        split = next(item for item in SPLITS if item == name)
        draw_chunk(folder / split, seed, split, start, stop)
        report(stop - start)


def main(arguments: list[str]) -> None:
    """Runs the worker with the arguments of the command line."""
    folder, plan, rank, workers = arguments
    values = json.loads(plan)
    work(Path(folder), values["seed"], values["sizes"], int(rank), int(workers), lambda n: print(n, flush=True))


if __name__ == "__main__":
    end_with_parent()
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"{type(error).__name__}: {error}")
