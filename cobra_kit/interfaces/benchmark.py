"""The contract of benchmarks: what they hold, how they are asked and scored, and the class that opens one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL.Image import Image

from cobra_kit.errors import DataError
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces.public_set import PublicSet


@dataclass(frozen=True, slots=True)
class Question:
    """One held-out question.

    Args:
        question_id: Unique within its benchmark.
        image: Name of the image that it is about.
        prompt: What the model reads, instructions about the form of the answer included.
        choices: Answers of one token each as the prompt template writes them, to be ranked by their probability at the
            first token; empty: the answer is generated.
    """

    question_id: str
    image: str
    prompt: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Held-out questions and everything a scorer needs.

    Args:
        name: Key in recipes and folders, such as `presence`.
        label: Heading of its column, such as `presence (POPE)`.
        rule: Name of the rule that scores it, such as `pope/first-token`.
        questions: The questions, in a fixed order.
        annotations: Per question, in that order, what the rule reads beside the prediction: people's answers, the
            true box, the group; keys are those of `Answered`.
        groups: Per question the part of the benchmark it belongs to, such as `color/1`; empty without parts.
        floor: What answers without the image reach, in the rule's main figure; None where it is unknown.
        ceiling: What disagreeing annotators leave; None where it is unknown.
        group_floors: The floor of single groups, where it is known.
    """

    name: str
    label: str
    rule: str
    questions: Sequence[Question]
    annotations: Sequence[Mapping[str, Any]]
    groups: Sequence[str] = ()
    floor: float | None = None
    ceiling: float | None = None
    group_floors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in (("annotations", self.annotations), ("groups", self.groups)):
            if len(values) != len(self.questions) and (name == "annotations" or values):
                raise DataError(f"{self.name}: {len(values)} {name} for {len(self.questions)} questions")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkProtocol:
    """The way a benchmark is asked and scored. It stands beside every number; two that differ are never subtracted.

    Args:
        split: The split of the files that is asked, such as `testdev_balanced`.
        prompt: The wording of a question, with `{question}` where its text goes.
        rule: Name of the rule that scores it, such as `gqa/official`.
        decoding: How an answer is got: `greedy`, or `choices` where those are ranked at the first token.
        post_processing: What is done with an answer before the rule sees it; empty: nothing.
        max_new_tokens: Most tokens of an answer; None: as the recipe says.
    """

    split: str
    prompt: str
    rule: str
    decoding: str = "greedy"
    post_processing: str = ""
    max_new_tokens: int | None = None


class ImageReader(Protocol):
    """Something that gives the images of a benchmark by their names."""

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        ...


@dataclass(frozen=True, slots=True)
class OpenBenchmark:
    """A benchmark whose files were read.

    Args:
        benchmark: Its questions, and what a rule reads beside the predictions.
        images: Its images by name.
        protocol: How it is asked and scored.
        fingerprint: A hash that changes whenever a question, an annotation or an image does.
    """

    benchmark: Benchmark
    images: ImageReader
    protocol: BenchmarkProtocol
    fingerprint: str


class BenchmarkFactory(ABC):
    """The class that opens a benchmark. Plugins derive from it and name the class in a `BenchmarkSpec`.

    Nothing is asked of it but class methods: a benchmark is opened with the settings that a recipe gives it, which its
    config has checked.
    """

    @classmethod
    @abstractmethod
    def open(
        cls, config: Any, split: str | None = None, root: Path | None = None, report: Reporter = silent
    ) -> OpenBenchmark:
        """Returns the benchmark with these settings, its counts checked.

        Args:
            config: The checked settings, of the config's class.
            split: The split to ask, as the files call it; None: the protocol's.
            root: The folder that relative paths of the settings start at; None: the working directory.
            report: Told about long work.

        Raises:
            DataError: Files are missing, broken, or of another split.
        """

    @classmethod
    @abstractmethod
    def protocol(cls, config: Any, split: str | None = None) -> BenchmarkProtocol:
        """Returns how the benchmark is asked and scored with these settings; opens nothing.

        Args:
            config: The checked settings, of the config's class.
            split: The split to ask; None: the default.
        """

    @classmethod
    def public_sets(cls) -> tuple[PublicSet, ...]:
        """Returns the files of the benchmark as they are distributed, for `data prepare`."""
        return ()

    @classmethod
    def files(cls, config: Any, split: str | None = None, root: Path | None = None) -> Mapping[str, Path]:
        """Returns the files and folders that `open` will read, by what they hold; opens nothing.

        `cobra-kit recipes validate` and `plan` name those that are missing.
        """
        return {}
