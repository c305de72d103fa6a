"""Several data sources as one: rows by weight, images by the name of their source."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cobra_kit.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

    from cobra_kit.interfaces import Benchmark, DataSource, HeldOutSplit, Split, TextForm, TrainingRow


@dataclass(frozen=True, slots=True)
class MixedPart:
    """One of the sources.

    Args:
        prefix: What the names of its rows and images begin with.
        source: The opened source.
        weight: How often an epoch has its rows.
    """

    prefix: str
    source: DataSource
    weight: float


class MixedSource:
    """Several sources as one.

    A weight of 2 has each row twice in an epoch, one of 0.5 a half of the rows. Which half, the seed says and nothing
    else: it is drawn before rows are given out, so the number of processes does not matter. The fingerprint is that of
    all rows and images, whatever the seed, so runs of several seeds share the features of their images.

    Args:
        parts: The sources; their prefixes differ.
        seed: Seed of what is drawn.
        shared_names: Names of benchmarks that more than one of them may have.
    """

    def __init__(self, parts: Sequence[MixedPart], seed: int, shared_names: Collection[str] = ()) -> None:
        self._parts = {part.prefix: part for part in parts}
        self._seed, self._shared_names = seed, frozenset(shared_names)

    @cached_property
    def fingerprint(self) -> str:
        """Returns a hash of the sources' fingerprints and weights."""
        return mixed_fingerprint([(part.prefix, part.weight, part.source.fingerprint) for part in self._parts.values()])

    @cached_property
    def rows(self) -> Sequence[TrainingRow]:
        """Returns the rows of all sources, source by source, by their weights."""
        return self._mixed(lambda source: source.rows)

    @cached_property
    def caption_rows(self) -> Sequence[TrainingRow]:
        """Returns those of the align stage."""
        return self._mixed(lambda source: source.caption_rows)

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns the rows without images of the sources that have some.

        Raises:
            DataError: None has.
        """
        errors: list[DataError] = []

        def of(source: DataSource) -> Sequence[TrainingRow]:
            try:
                return source.text_rows(form)
            except DataError as error:
                errors.append(error)
                return ()

        rows = self._mixed(of)
        if not rows and errors:
            raise errors[0]
        return rows

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
            KeyError: No source has this prefix.
        """
        prefix, _, name = image_id.partition("/")
        return self._parts[prefix].source.image(name)

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the names of the images of all sources, whatever their weights."""
        return tuple(
            _prefixed(part.prefix, name) for part in self._parts.values() for name in part.source.image_ids(split)
        )

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns the benchmarks of all sources; names that several have get the source's in front."""
        listed = {prefix: part.source.benchmarks(split) for prefix, part in self._parts.items()}
        shared = self._shared_names | repeated(listed.values())
        return {
            (full := mixed_name(prefix, name, shared)): _renamed(benchmark, full, prefix)
            for prefix, benchmarks in listed.items()
            for name, benchmark in benchmarks.items()
        }

    def _mixed(self, rows_of: Callable[[DataSource], Sequence[TrainingRow]]) -> tuple[TrainingRow, ...]:
        return tuple(row for part in self._parts.values() for row in self._weighted(part, rows_of(part.source)))

    def _weighted(self, part: MixedPart, rows: Sequence[TrainingRow]) -> list[TrainingRow]:
        import numpy as np  # neither is wanted where a recipe is only looked at

        from cobra_kit.model.seeding import derive_seed

        times, share = divmod(part.weight, 1)
        # RandomState and not default_rng: numpy promises that its streams never change.
        random = np.random.RandomState(np.random.MT19937(derive_seed(self._seed, "source", part.prefix)))
        drawn = sorted(random.permutation(len(rows))[: round(share * len(rows))].tolist())
        turns = [range(len(rows))] * int(times) + [drawn]
        return [_named(part.prefix, rows[place], turn) for turn, places in enumerate(turns) for place in places]


def mixed_fingerprint(parts: Sequence[tuple[str, float, str]]) -> str:
    """Returns the fingerprint of several sources.

    Args:
        parts: Per source its prefix, its weight and its fingerprint.
    """
    return hashlib.sha256(json.dumps([list(part) for part in parts]).encode()).hexdigest()


def mixed_name(prefix: str, name: str, shared: Collection[str]) -> str:
    """Returns what a source's benchmark is called among several sources."""
    return f"{prefix}-{name}" if name in shared else name


def repeated(listed: Collection[Collection[str]]) -> frozenset[str]:
    """Returns the names that are in more than one of some collections."""
    counted = Counter(name for names in listed for name in names)
    return frozenset(name for name, count in counted.items() if count > 1)


def _prefixed(prefix: str, name: str) -> str:
    return f"{prefix}/{name}"


def _named(prefix: str, row: TrainingRow, turn: int) -> TrainingRow:
    again = f"#{turn + 1}" if turn else ""
    images = tuple(_prefixed(prefix, name) for name in row.images)
    return replace(row, row_id=f"{_prefixed(prefix, row.row_id)}{again}", images=images)


def _renamed(benchmark: Benchmark, name: str, prefix: str) -> Benchmark:
    questions = tuple(replace(question, image=_prefixed(prefix, question.image)) for question in benchmark.questions)
    return replace(benchmark, name=name, questions=questions)
