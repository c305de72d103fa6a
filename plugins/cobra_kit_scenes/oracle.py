"""The scores that can be reached without looking (floor), and by looking perfectly (ceiling).

The floor is a text-only oracle: for the exact words of a prompt it gives the answer that the training rows
give most often to these words, and for words it never saw the most frequent one. It is scored by the
benchmark's rule on the held-out questions. The ceiling is the best score that any answers can have, given
annotators who disagree. Disagreement also lifts the floor of open questions a little above one in the number of
answers: a split vote gives something to wrong answers.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cobra_kit_scenes.annotators import agreement
from cobra_kit_scenes.benchmark_prompts import Benchmark, prompt, reply
from cobra_kit_scenes.damage import damage_named
from cobra_kit_scenes.dataset import SceneDataset
from cobra_kit_scenes.held_out import BENCHMARKS
from cobra_kit_scenes.vocabulary import IMAGE, Split

MIN_IOU = 0.5


@dataclass(frozen=True, slots=True)
class ScoreBounds:
    """Bounds of one benchmark or slice, in per cent.

    Args:
        questions: How many questions it has.
        floor: The text-only oracle's score.
        ceiling: The best possible score.
    """

    questions: int
    floor: float
    ceiling: float


@dataclass(frozen=True, slots=True)
class _Asked:
    prompt: str
    slice: str
    score: Callable[[str], float]
    answers: tuple[str, ...]


def reach(dataset: SceneDataset, split: Split = "test") -> dict[str, ScoreBounds]:
    """Returns floor and ceiling per benchmark ("vqav2"), and per slice of it ("vqav2:color/1").

    Raises:
        CobraError: The split, or the train split that the oracle learns from, is empty.
    """
    oracle = TextOracle(dataset.rows)
    bounds: dict[str, ScoreBounds] = {}
    for benchmark in BENCHMARKS:
        asked = _asked(dataset, split, benchmark)
        bounds[benchmark] = _bounds(benchmark, asked, oracle)
        for name in sorted({item.slice for item in asked}):
            part = [item for item in asked if item.slice == name]
            bounds[f"{benchmark}:{name}"] = _bounds(benchmark, part, oracle)
    return bounds


class TextOracle:
    """Answers prompts from the statistics of training rows alone."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        everything: Counter[str] = Counter()
        for row in rows:
            turns = row["conversations"]
            for human, gpt in zip(turns[::2], turns[1::2], strict=True):
                self._answers[human["value"].removeprefix("<image>\n")][gpt["value"]] += 1
                everything[gpt["value"]] += 1
        self._everything = everything
        self._boxes: dict[str | None, str] = {}

    def answer(self, benchmark: Benchmark, prompt: str) -> str:
        """Returns the best guess for a prompt."""
        if benchmark == "refcoco":
            key = prompt if self._answers.get(prompt) else None
            if key not in self._boxes:
                counts = self._answers[key] if key is not None else self._everything
                self._boxes[key] = _best_box(counts)
            return self._boxes[key]
        counts = self._answers.get(prompt) or _only(self._everything, benchmark)
        return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def _only(counts: Counter[str], benchmark: Benchmark) -> Counter[str]:
    """Returns the answers that fit a benchmark, for words never seen in training."""
    fits = {"vsr": ("True", "False")}.get(benchmark, ("Yes", "No") if benchmark.startswith("pope") else None)
    return Counter({answer: n for answer, n in counts.items() if fits is None or answer in fits})


def _best_box(counts: Counter[str]) -> str:
    """Returns the most frequent box or that of median coordinates, whichever hits more training boxes."""
    boxes = [(values, n) for answer, n in counts.items() if (values := parse_box(answer)) is not None]
    if not boxes:
        return ""
    middle = [median(sorted(values[i] for values, n in boxes for _ in range(n))) for i in range(4)]
    common = max(boxes, key=lambda item: item[1])[0]
    best = max((middle, common), key=lambda guess: sum(n for values, n in boxes if iou(guess, values) >= MIN_IOU))
    return f"[{', '.join(f'{value:.2f}' for value in best)}]"


def _bounds(benchmark: Benchmark, asked: Sequence[_Asked], oracle: TextOracle) -> ScoreBounds:
    if not asked:
        return ScoreBounds(0, float("nan"), float("nan"))
    floor = sum(item.score(oracle.answer(benchmark, item.prompt)) for item in asked)
    ceiling = sum(max(item.score(answer) for answer in item.answers) for item in asked)
    return ScoreBounds(len(asked), 100 * floor / len(asked), 100 * ceiling / len(asked))


def _asked(dataset: SceneDataset, split: Split, benchmark: Benchmark) -> list[_Asked]:
    texts = dataset.benchmark_texts(split, benchmark)
    slices = dataset.question_slices(split)
    with damage_named(dataset.benchmark(split, benchmark)["questions"], dataset.folder):
        return [
            _Asked(prompt(benchmark, question, dataset.params.prompts), name, *scoring)
            for (question, scoring), name in zip(_scored(texts, benchmark), slices[benchmark], strict=True)
        ]


def _scored(texts: Mapping[str, str], benchmark: Benchmark) -> list[tuple[str, _Scoring]]:
    """Returns the questions of a benchmark's files, and how an answer is scored."""
    text = texts["questions"]
    if benchmark == "vqav2":
        annotations = json.loads(texts["annotations"])["annotations"]
        votes = [[item["answer"] for item in row["answers"]] for row in annotations]
        rows = [(row["question"], answers) for row, answers in zip(json.loads(text)["questions"], votes, strict=True)]
        return [(question, _votes(benchmark, answers)) for question, answers in rows]
    if benchmark == "textvqa":
        return [(row["question"], _votes(benchmark, row["answers"])) for row in json.loads(text)["data"]]
    if benchmark == "refcoco":
        return [(row["sents"], _hits(row["bbox"])) for row in json.loads(text)]
    lines = [json.loads(line) for line in text.splitlines()]
    if benchmark == "vsr":
        return [(row["caption"], _equals(benchmark, "true" if row["label"] else "false")) for row in lines]
    return [(row["text"], _equals(benchmark, row["label"])) for row in lines]


_Scoring = tuple[Callable[[str], float], tuple[str, ...]]
"""A score, and the answers of which one scores best."""


def _votes(benchmark: Benchmark, answers: list[str]) -> _Scoring:
    given = [reply(benchmark, answer) for answer in answers]
    return (lambda guess: agreement(guess, given)), tuple(dict.fromkeys(given))


def _equals(benchmark: Benchmark, label: str) -> _Scoring:
    truth = reply(benchmark, label)
    return (lambda guess: float(guess == truth)), (truth,)


def _hits(bbox: list[float]) -> _Scoring:
    x, y, width, height = (value / IMAGE for value in bbox)
    truth = [x, y, x + width, y + height]

    def score(guess: str) -> float:
        values = parse_box(guess)
        return float(values is not None and iou(values, truth) >= MIN_IOU)

    return score, (f"[{', '.join(f'{value:.2f}' for value in truth)}]",)


def parse_box(answer: str) -> list[float] | None:
    """Returns the four numbers of "[x0, y0, x1, y1]", or None."""
    parts = answer.strip().removeprefix("[").removesuffix("]").split(",")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        return None
    return values if len(values) == 4 and values[0] < values[2] and values[1] < values[3] else None


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Returns the intersection over union of two (x0, y0, x1, y1)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
