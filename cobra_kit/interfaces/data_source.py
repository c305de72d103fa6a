"""The values that a data source gives, and the class that opens it: training rows, images by name, questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from PIL.Image import Image

from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces.public_set import PublicSet

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
class PlacedRow:
    """A row as a file has it, good or not, with its place.

    Args:
        file: The file or shard, as the settings name it; empty where there is none.
        number: Its number in there, the first one 1.
        row_id: Its id as written, which others may have too; empty where it has none.
        row: The row; None where it breaks the form.
        reason: Why it does.
        quarantined: Whether a quarantine list leaves it out.
    """

    file: str
    number: int
    row_id: str
    row: TrainingRow | None
    reason: str = ""
    quarantined: bool = False

    @property
    def place(self) -> str:
        """Returns where it is, in words: `rows.json row 12`."""
        return f"{self.file} row {self.number}" if self.file else f"row {self.number}"


class RowStream(Protocol):
    """A data source that is read row by row, in memory that does not grow with their number.

    `rows` may be called several times; a file that changes while it is read is an error.
    """

    def rows(self) -> Iterator[PlacedRow]:
        """Yields the rows of all files, those of the align stage included.

        Raises:
            DataError: A file is missing, is no file of rows, or was changed while it was read.
        """
        ...

    def has_image(self, image_id: str) -> bool:
        """Returns whether an image is there, without opening it."""
        ...

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB; may be called from several threads at once.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        ...


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
        benchmark_names: The benchmarks that the source itself may have, known without opening it.
    """

    made_here: ClassVar[bool] = False
    benchmark_names: ClassVar[tuple[str, ...]] = ()

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
    def remedies(cls, setting: str) -> tuple[str, ...]:
        """Returns what supplies the file or folder that a setting names, such as links, each a line."""
        return ()

    @classmethod
    def stream(cls, config: Any, report: Reporter = silent) -> RowStream | None:
        """Returns the source to be read row by row, for `data check`; None where only `open` can read it.

        Raises:
            DataError: A file or folder is missing.
        """
        return None

    @classmethod
    def public_sets(cls) -> tuple[PublicSet, ...]:
        """Returns the public data that the source reads, for `data prepare`."""
        return ()

    @classmethod
    def sample(cls, config: Any, sizes: Mapping[Split, int], folder: Path) -> SourceSample | None:
        """Returns a small part of the source, made anew; None where the whole is opened just as fast.

        Args:
            config: The checked settings, of the config's class.
            sizes: Per split how many images are enough.
            folder: An empty folder, which is there as long as the sample is used.
        """
        return None
