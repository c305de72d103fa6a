"""Answers that came from a file of predictions, whoever's model made it: what a benchmark reads them as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cobra_kit.data.rows import Benchmark


@dataclass(frozen=True, slots=True)
class Submitted:
    """One answer of a file of predictions.

    Args:
        keys: The names by which it may mean a question, the best first: ids, or a place in the file.
        where: Its place in the file, for errors.
        text: The generated answer; None where there are only probabilities.
        probabilities: Probability of each choice at the first token; None where the file has none.
        question: The question or prompt that the file repeats, to be held against the one of the benchmark; empty
            where it repeats none.
        image: The image that the file names; empty where it names none.
    """

    keys: tuple[str, ...]
    where: str
    text: str | None = None
    probabilities: Mapping[str, float] | None = None
    question: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class ScoredFiles:
    """A benchmark as its official files hold it, to score predictions against.

    Args:
        benchmark: Questions, annotations and the rule of the default protocol; prompts are worded by that protocol.
        texts: Per question its text as the file has it, in the order of the benchmark's questions.
        aliases: Other names of questions in files of predictions, by name; each means one question.
        text_rule: The rule for predictions that are texts, where the protocol's own rule reads probabilities.
        notes: What a reader of the number should know, such as a count that is not the official split's.
    """

    benchmark: Benchmark
    texts: Sequence[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    text_rule: str | None = None
    notes: Sequence[str] = ()
