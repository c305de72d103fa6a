"""Scoring of files: what a benchmark reads its official files and files of predictions as, whoever's model answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cobra_kit.interfaces.benchmark import Benchmark


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
        split: The official split that the files are, or in words that they are none.
        benchmark: Questions, annotations and the rule of the default protocol; prompts are worded by that protocol.
        texts: Per question its text as the file has it, in the order of the benchmark's questions.
        aliases: Other names of questions in files of predictions, by name; each means one question.
        text_rule: The rule for predictions that are texts, where the protocol's own rule reads probabilities.
        notes: What a reader of the number should know, such as a count that is not the official split's.
    """

    split: str
    benchmark: Benchmark
    texts: Sequence[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    text_rule: str | None = None
    notes: Sequence[str] = ()


class OfficialFiles(ABC):
    """A benchmark that scores files of predictions against its official files; its class derives from this, too."""

    @classmethod
    @abstractmethod
    def read_files(cls, annotations: Path, questions: Path | None = None) -> ScoredFiles:
        """Returns the benchmark as its files hold it; images are not looked for.

        Args:
            annotations: The official file of answers, or the folder of its parts.
            questions: The official file of questions, where that is another one.

        Raises:
            DataError: A file is missing or of another form.
            UnreadableFile: A file cannot be read or is not JSON.
        """

    @classmethod
    @abstractmethod
    def read_predictions(cls, path: Path) -> Sequence[Submitted]:
        """Returns the answers of a file in the benchmark's result form.

        Raises:
            DataError: The file is missing, or an answer is none.
            UnreadableFile: It cannot be read or is not JSON.
        """

    @classmethod
    def inspect(cls, answers: Sequence[Submitted], rule: str) -> Sequence[str]:
        """Returns what is odd about answers that a rule will read, in words.

        Raises:
            DataError: Most of them cannot be what the rule reads.
        """
        return ()
