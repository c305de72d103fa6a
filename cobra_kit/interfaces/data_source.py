"""The values that a data source gives, and the class that opens it: training rows, images by name, questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from PIL.Image import Image

from cobra_kit.events import Reporter, silent

if TYPE_CHECKING:
    from cobra_kit.interfaces.benchmark import Benchmark

HeldOutSplit = Literal["val", "test"]
Split = Literal["train", "val", "test"]
TextForm = Literal["passages", "conversations"]


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One conversation to learn from.

    Args:
        row_id: Unique within the source.
        images: Names of its images, in the order of their markers.
        turns: (question, answer) pairs; questions may hold `<image>` markers.
        kinds: Per turn what kind of question it is, such as `count`; empty where the source does not know.
    """

    row_id: str
    images: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...] = ()


class DataSource(Protocol):
    """Training rows, images and benchmarks of one origin."""

    @property
    def fingerprint(self) -> str:
        """Returns a hash that changes whenever a row, an image or a question does."""
        ...

    @property
    def rows(self) -> Sequence[TrainingRow]:
        """Returns the training rows."""
        ...

    @property
    def caption_rows(self) -> Sequence[TrainingRow]:
        """Returns the rows of the align stage: an image and, as the first answer, its caption."""
        ...

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns rows without images for the text stages.

        Args:
            form: `passages`: plain text, as the first answer of each row; `conversations`: questions and answers.

        Raises:
            DataError: The source has none.
        """
        ...

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        ...

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the names of the images that the split's rows or questions use, each once, in order."""
        ...

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns the benchmarks of a split by name; none where the source has no held-out questions."""
        ...


def used_images(rows: Sequence[TrainingRow]) -> tuple[str, ...]:
    """Returns the names of the images of some rows, each once, in order of first use."""
    return tuple(dict.fromkeys(name for row in rows for name in row.images))


@dataclass(frozen=True, slots=True)
class SourceSample:
    """A small part of a data source, to measure rows and speed on.

    Args:
        source: The part that is here.
        times: Per split how many times as many images the whole has.
        label: What the sample is, in a few words.
        seconds_per_image: What making an image of the whole takes, where that is still to be done.
        to_make: How many images of the whole are still to be made.
    """

    source: DataSource
    times: Mapping[str, float]
    label: str
    seconds_per_image: float = 0.0
    to_make: int = 0


class DataSourceFactory(ABC):
    """The class that opens a data source. Plugins derive from it and name the class in a `DataSourceSpec`.

    Nothing is asked of it but class methods: a source is opened with the settings of a recipe's `data`, which its
    config has checked.

    Attributes:
        made_here: Whether the data are made on the spot, so that nothing has to be fetched first.
    """

    made_here: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def open(cls, config: Any, report: Reporter = silent) -> DataSource:
        """Returns the source with these settings, made or read on first use.

        Args:
            config: The checked settings, of the config's class.
            report: Told about long work.

        Raises:
            DataError: The data are missing or broken.
        """

    @classmethod
    def fingerprint(cls, config: Any) -> str | None:
        """Returns the fingerprint that the source will have; None where only opening it tells."""
        return None

    @classmethod
    def benchmark_names(cls, config: Any) -> tuple[str, ...]:
        """Returns the names of the benchmarks that the source itself will have; opens nothing."""
        return ()

    @classmethod
    def sample(cls, config: Any, sizes: Mapping[Split, int]) -> SourceSample | None:
        """Returns a small part of the source, made anew; None where it is opened as fast as it is.

        Args:
            config: The checked settings, of the config's class.
            sizes: Per split how many images are enough.
        """
        return None
