"""A benchmark as its modules describe it: files, sizes, wording, protocols and forms of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cobra_kit.interfaces.submission import Submitted
from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.protocol import Protocol

Files = Mapping[str, Path]
"""The files of a split by their roles: `annotations` always, `questions` and others where a benchmark has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFiles:
    """The places of the files of a split, below the benchmark's folder.

    Args:
        annotations: Paths that the file or folder with the answers may have; the first that exists counts.
        images: Paths that the folder of images may have.
        others: Paths of further files by role, such as `questions`.
    """

    annotations: tuple[str, ...]
    images: tuple[str, ...]
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def nothing_odd(answers: Sequence[Submitted], rule: str) -> Sequence[str]:
    """Returns nothing: texts may be anything."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A benchmark.

    Args:
        name: Its name, without the plugin's.
        label: Heading of its column.
        protocols: The protocols by name, the default one first.
        splits: Files per official split.
        counts: Sizes per official split, where they are known.
        read: Reads the files of a split.
        prompts: Wordings by name, with `{question}` and perhaps `{ocr}` where these go.
        read_results: Reads a file of predictions.
        aliases: Returns other names of questions in files of predictions.
        inspect: Returns what is odd about answers that a rule will read; raises where they cannot be meant.
        slim_per_group: Whether `slim` takes its share of every group.
    """

    name: str
    label: str
    protocols: Mapping[str, Protocol]
    splits: Mapping[str, SplitFiles]
    counts: Mapping[str, Counts]
    read: Callable[[Files], Sequence[Item]]
    prompts: Mapping[str, str]
    read_results: Callable[[Path], list[Submitted]]
    aliases: Callable[[Sequence[Item]], Mapping[str, str]]
    inspect: Callable[[Sequence[Submitted], str], Sequence[str]] = nothing_odd
    slim_per_group: bool = False

    def word(self, item: Item, prompt: str) -> str:
        """Returns what the model reads of a question, under the wording of that name."""
        return self.prompts[prompt].format(question=item.text, ocr=", ".join(item.ocr))

    @property
    def default(self) -> Protocol:
        """Returns the default protocol, the paper's."""
        return next(iter(self.protocols.values()))


def by_place(items: Sequence[Item]) -> dict[str, str]:
    """Returns the questions by their places in the file, `#0`, `#1`, ...: for results without ids."""
    return {f"#{place}": item.question_id for place, item in enumerate(items)}
