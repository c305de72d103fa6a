"""A look at the validation split during training, for selection; nothing of it is ever reported as a result."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cobra_kit.data.images import Images
from cobra_kit.data.rows import Benchmark
from cobra_kit.evaluate.predict import answer
from cobra_kit.evaluate.score import score
from cobra_kit.evaluate.scoring import QuestionScore
from cobra_kit.model import VisionLanguageModel

MEAN = "mean"


class Validator:
    """Accuracy on a fixed part of the validation benchmarks.

    Args:
        benchmarks: The benchmarks of the validation split.
        images: The images, or their features, that those show.
        questions: How many to ask in all, shared evenly among the benchmarks.
        seed: Seed by which the questions are drawn.
        max_new_tokens: Most tokens of a generated answer.
        batch_size: Questions answered together.
    """

    def __init__(
        self,
        benchmarks: Mapping[str, Benchmark],
        images: Images,
        *,
        questions: int,
        seed: int = 0,
        max_new_tokens: int = 40,
        batch_size: int = 64,
    ) -> None:
        share = max(1, questions // max(1, len(benchmarks)))
        self.benchmarks = {name: some_questions(benchmark, share, seed) for name, benchmark in benchmarks.items()}
        self._images, self._max_new_tokens, self._batch_size = images, max_new_tokens, batch_size
        self.latest: dict[str, Sequence[QuestionScore]] = {}
        """The single questions' scores of the last call, per benchmark."""

    def __call__(self, model: VisionLanguageModel) -> dict[str, float]:
        """Returns each benchmark's main number and their `mean`, 0 to 1."""
        accuracies = {name: self._accuracy(model, benchmark) for name, benchmark in self.benchmarks.items()}
        # Every benchmark counts the same here, however many of its questions there are.
        return {**accuracies, MEAN: sum(accuracies.values()) / len(accuracies)}

    def _accuracy(self, model: VisionLanguageModel, benchmark: Benchmark) -> float:
        predictions = answer(
            model,
            benchmark.questions,
            self._images,
            max_new_tokens=self._max_new_tokens,
            batch_size=self._batch_size,
        )
        scored = score(benchmark, predictions)
        self.latest[benchmark.name] = scored.scores
        main = next(iter(scored.summary.values()))
        return 0.0 if main is None else main


def some_questions(benchmark: Benchmark, count: int, seed: int) -> Benchmark:
    """Returns the benchmark with at most `count` of its questions, the same ones every time."""
    total = len(benchmark.questions)
    if total <= count:
        return benchmark
    return with_questions(benchmark, sorted(random.Random(seed).sample(range(total), count)))


def with_questions(benchmark: Benchmark, kept: list[int]) -> Benchmark:
    """Returns the benchmark with the questions at these places."""
    return replace(
        benchmark,
        questions=tuple(benchmark.questions[i] for i in kept),
        annotations=tuple(benchmark.annotations[i] for i in kept),
        groups=tuple(benchmark.groups[i] for i in kept) if benchmark.groups else (),
    )
