"""The check of a recipe's data: in full for `data check`, in seconds before `run` trains."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cobra_kit._plugins import attributed
from cobra_kit.data.asked import asked_of_plugins
from cobra_kit.data.check.checking import OpenedRows, check_stream
from cobra_kit.data.check.findings import DataReport
from cobra_kit.data.check.overlap import HeldOutImages
from cobra_kit.data.check.texts import TextCheck
from cobra_kit.data.named_paths import missing_paths
from cobra_kit.data.quarantine import write_quarantine
from cobra_kit.data.rejects import MOST_UNREADABLE
from cobra_kit.data.sources import NamedSource, is_made_here, named_sources
from cobra_kit.errors import CobraError, DataError, first_line
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces import DataSource, HeldOutSplit, RowStream, TextCodec
from cobra_kit.recipe import Recipe

QUICK_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """The check of one of a recipe's data sources.

    Args:
        label: Where it stands in the recipe: `data`, or a place of the list there.
        quarantine: The file that lists its rows that cannot be trained on, where there are such.
        report: What was found.
    """

    label: str
    quarantine: Path
    report: DataReport


def check_data(recipe: Recipe, quarantine: Path, report: Reporter = silent) -> list[SourceCheck]:
    """Looks at all of a recipe's training data, and lists the rows that cannot be trained on.

    Args:
        recipe: A loaded recipe with a section `data`.
        quarantine: The file that the list is written to, where there are such rows; whole or not at all. Where the
            recipe has several sources, each has its own: `quarantine.jsonl` is `quarantine.0.jsonl` for the first.
        report: Told about progress.

    Returns:
        One check per source, in the recipe's order.

    Raises:
        RecipeError: The recipe has no data, names no known source, or a setting is wrong.
        DataError: A file or folder is missing, is not what it should be, or was changed while it was read.
    """
    check_paths(recipe)
    sources = named_sources(recipe)
    streams: list[RowStream] = []
    held_out = _of_named_benchmarks(recipe, report)
    for source in sources:
        stream = _stream(source, recipe, report)
        if stream is None:
            opened = source.open(recipe, report)
            _add_held_out(held_out, opened)
            stream = OpenedRows(opened)
        streams.append(stream)
    checks = []
    codec, why = _codec(recipe)
    for index, (source, stream) in enumerate(zip(sources, streams, strict=True)):
        texts = TextCheck(codec) if codec is not None else None
        file = quarantine.with_suffix(f".{index}{quarantine.suffix}") if isinstance(recipe.data, list) else quarantine
        finish = partial(write_quarantine, file)
        result = check_stream(stream, texts, held_out, finish, report)
        result.no_texts = why
        checks.append(SourceCheck(source.label, file, result))
    return checks


def check_quickly(recipe: Recipe, seconds: float = QUICK_SECONDS) -> None:
    """Raises if files or many images are missing, from what can be seen of the data within some seconds.

    Args:
        recipe: A loaded recipe; one without data, or whose sources are made on the spot, passes.
        seconds: How long rows are looked at, all sources together.

    Raises:
        DataError: A file or folder is missing, or more images of a source's first rows than training bears.
    """
    if recipe.data is None or is_made_here(recipe):
        return
    check_paths(recipe)
    sources = named_sources(recipe)
    for source in sources:
        if source.factory().made_here:
            continue
        stream = _stream(source, recipe, silent)
        if stream is not None:
            _check_first_images(stream, f"{source.label} of {recipe.name}", seconds / len(sources))


def _check_first_images(stream: RowStream, where: str, seconds: float) -> None:
    until, rows, seen, missing, first = time.monotonic() + seconds, 0, 0, 0, ""
    for item in stream.rows():
        rows += 1
        for name in item.row.images if item.row is not None else ():
            seen += 1
            if not stream.has_image(name):
                missing, first = missing + 1, first or name
        if time.monotonic() > until:
            break
    if seen and missing > MOST_UNREADABLE * seen:
        raise DataError(
            f"{missing:,} of the {seen:,} pictures that the first {rows:,} rows name are missing, such as {first}",
            where=where,
            hint="Look at the folder of images, and whether all archives are unpacked. `cobra-kit data check` lists "
            "every row without its picture, for training to leave out.",
        )


def check_paths(recipe: Recipe) -> None:
    """Raises if a file or folder that the sources' settings name is not there; the message lists all of them.

    Benchmarks whose files are missing are listed with them.

    Raises:
        DataError: Something is missing.
    """
    if gone := missing_paths(recipe):
        lines = [f"{source.label}.{name}: {path} is not there" for source, name, path in gone[1:]]
        remedies = [line for source, name, _ in gone for line in source.factory().remedies(name)]
        lines += dict.fromkeys(remedies)
        lines += _benchmarks_not_there(recipe)
        source, name, path = gone[0]
        raise DataError(
            f"{len(gone)} of the files and folders of the data are not there",
            where=f"{source.label}.{name}: {path}",
            hint="\n".join(lines) or "Give its path.",
        )


def _benchmarks_not_there(recipe: Recipe) -> list[str]:
    """Returns a line per benchmark that lacks files: who has to fetch data learns at once what all is to be fetched."""
    lines = []
    for asked in asked_of_plugins(recipe):
        if missing := asked.missing_files():
            remedy = f": {'; '.join(commands)}" if (commands := asked.prepare_commands()) else ""
            lines.append(f"evaluate.benchmarks: {asked.name} lacks {', '.join(missing)}, too{remedy}")
    return lines


def _of_named_benchmarks(recipe: Recipe, report: Reporter) -> HeldOutImages:
    """Returns the images of the plugins' benchmarks whose files are here; others cannot be compared."""
    images = HeldOutImages()
    for asked in asked_of_plugins(recipe):
        if not asked.missing_files():
            opened = asked.open(report)
            images.add(asked.name, (question.image for question in opened.benchmark.questions), opened.images)
    return images


def _add_held_out(images: HeldOutImages, source: DataSource) -> None:
    splits: tuple[HeldOutSplit, ...] = ("val", "test")
    for split in splits:
        for benchmark in source.benchmarks(split).values():
            images.add(f"{benchmark.name} ({split})", (question.image for question in benchmark.questions), source)


def _stream(source: NamedSource, recipe: Recipe, report: Reporter) -> RowStream | None:
    settings, factory = source.settings(recipe), source.factory()
    with attributed((source.extension,)):
        return factory.stream(settings, report)


def _codec(recipe: Recipe) -> tuple[TextCodec | None, str]:
    """Returns what texts are tokenised with, or why nothing does it: a tokenizer may not be here."""
    from cobra_kit.model import compose  # torch comes in only now: missing files are told at once

    try:
        return compose(recipe, device="meta").processor.codec, ""
    except CobraError as error:
        return None, first_line(error)
