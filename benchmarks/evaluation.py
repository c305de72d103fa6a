"""Questions to a trained run answered in batches, against the same questions one by one: the same answers, and sooner?

    python benchmarks/evaluation.py studies/ablation_projector-laptop/mlp-s7
    python benchmarks/evaluation.py RUN --questions 200 --batch-size 32

The questions are those of the embedded world's six abilities, each with its part of the whole. Features of the images
are made before, as `cobra-kit evaluate` makes them, and are not in the times. The two ways take turns, ability by
ability and round by round, so that other work on the machine falls on both; times are processor time of this process,
on one thread, the least of all rounds. Freed memory is kept, as the command keeps it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch

from cobra_kit.cli.allocator import keep_freed_memory
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.images import Images
from cobra_kit.data.rows import DataSource
from cobra_kit.evaluate.precision import apply_precision
from cobra_kit.evaluate.predict import Prediction, answer
from cobra_kit.evaluate.score import score
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.decoding import Precision
from cobra_kit.study.evaluation.asked_run import AskedRun, find_run
from cobra_kit.study.evaluation.opened import OpenedBenchmark, open_benchmarks
from cobra_kit.study.reading.loading import load

ABILITIES = ("presence", "attribute", "count", "spatial", "reading", "boxes")
GOAL = 4.0


@dataclass(slots=True)
class Compared:
    """What one ability's questions took, and how far the answers of the two ways differ.

    Args:
        name: The ability.
        questions: How many.
        batched: Seconds in batches, a number per round.
        single: Seconds one by one, a number per round.
        other_texts: Questions whose answers differ.
        other_scores: Questions whose scores differ.
        farthest: The largest difference of a choice's probability.
    """

    name: str
    questions: int
    batched: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    other_texts: int = 0
    other_scores: int = 0
    farthest: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a trained run's folder")
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--images", type=int, default=600, help="test images of the world that is drawn")
    parser.add_argument("--batch-size", type=int, help="the recipe's, unless given")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    run = find_run(arguments.run)
    model = load(run.folder)
    precision = apply_precision(model, run.evaluate.precision)
    size = arguments.batch_size or run.evaluate.batch_size
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for opened in opened_abilities(run, arguments.questions, arguments.images):
            images = FeatureCache.of(model, cast("DataSource", opened), opened.image_ids(), Path(folder))
            rows.append(compare(model, opened, images, size, precision, arguments.rounds))
            print_row(rows[-1])
    print_total(rows, size)


def opened_abilities(run: AskedRun, questions: int, images: int) -> list[OpenedBenchmark]:
    """Returns the abilities, each with its share of the questions: as large as its part of all that the world asks."""
    everything = [opened_ability(run, name, None, images) for name in ABILITIES]
    sizes = [len(opened.benchmark.questions) for opened in everything]
    if sum(sizes) < questions:
        raise SystemExit(f"the world has {sum(sizes):,} questions, {questions:,} are wanted: more --images")
    ends = [questions * sum(sizes[: place + 1]) // sum(sizes) for place in range(len(sizes))]
    shares = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [opened_ability(run, name, share, images) for name, share in zip(ABILITIES, shares, strict=True)]


def opened_ability(run: AskedRun, name: str, limit: int | None, images: int) -> OpenedBenchmark:
    """Returns an ability with some of its questions."""
    (opened,) = open_benchmarks(
        run, [f"scenes/{name}"], limit=limit, split="test", root=None, changes={"test": images}, report=print_nothing
    )
    return opened


def print_nothing(event: object, /) -> None:
    """Takes an event and says nothing."""


def compare(
    model: VisionLanguageModel, opened: OpenedBenchmark, images: Images, size: int, precision: Precision, rounds: int
) -> Compared:
    """Returns what the two ways took and gave."""
    row = Compared(opened.name, len(opened.benchmark.questions))
    for _ in range(rounds):
        batched = timed(model, opened, images, size, precision, row.batched)
        single = timed(model, opened, images, 1, precision, row.single)
    row.other_texts = sum(a.text != b.text for a, b in zip(batched, single, strict=True))
    scores = [score(opened.benchmark, answers).scores for answers in (batched, single)]
    row.other_scores = sum(a.score != b.score for a, b in zip(*scores, strict=True))
    row.farthest = max(
        (abs((a.probabilities or {})[choice] - share) for a, b in zip(batched, single, strict=True)
         for choice, share in (b.probabilities or {}).items()),
        default=0.0,
    )  # fmt: skip
    return row


def timed(
    model: VisionLanguageModel,
    opened: OpenedBenchmark,
    images: Images,
    size: int,
    precision: Precision,
    times: list[float],
) -> list[Prediction]:
    """Returns the answers in batches of a size, and notes the seconds."""
    start = time.process_time()
    answers = answer(
        model,
        opened.benchmark.questions,
        images,
        max_new_tokens=opened.protocol.max_new_tokens,
        batch_size=size,
        precision=precision,
    )
    times.append(time.process_time() - start)
    return answers


def print_row(row: Compared) -> None:
    """Prints one ability."""
    batched, single = min(row.batched), min(row.single)
    print(
        f"{row.name:<18}{row.questions:>6} questions  batched {batched:7.2f} s  one by one {single:7.2f} s  "
        f"{single / batched:5.1f} x  other answers {row.other_texts}, other scores {row.other_scores}, "
        f"probabilities within {row.farthest:.1e}"
    )


def print_total(rows: Sequence[Compared], size: int) -> None:
    """Prints the whole, and whether it reaches the goal."""
    batched, single = (
        sum(min(times) for times in each) for each in zip(*((r.batched, r.single) for r in rows), strict=True)
    )
    ratio = single / batched
    same = not any(row.other_texts or row.other_scores for row in rows)
    print(
        f"{'all':<18}{sum(row.questions for row in rows):>6} questions  batched {batched:7.2f} s  one by one "
        f"{single:7.2f} s  {ratio:5.1f} x in batches of {size}; the same answers: {'yes' if same else 'NO'}; "
        f"goal of {GOAL:.0f} x: {'reached' if ratio >= GOAL and same else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
