"""The check of a recipe's data: in full for `data check`, in seconds before `run` trains."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import BaseModel

from cobra_kit._plugins import attributed
from cobra_kit.data.check.checking import OpenedRows, check_stream
from cobra_kit.data.check.findings import DataReport
from cobra_kit.data.check.overlap import HeldOutImages
from cobra_kit.data.check.texts import TextCheck
from cobra_kit.data.quarantine import write_quarantine
from cobra_kit.data.rejects import MOST_UNREADABLE
from cobra_kit.data.sources import open_source, source_extension, source_factory, source_settings
from cobra_kit.errors import CobraError, DataError, first_line
from cobra_kit.events import Reporter, silent
from cobra_kit.files import expanded
from cobra_kit.interfaces import RowStream
from cobra_kit.recipe import Recipe

QUICK_SECONDS = 6.0


def check_data(
    recipe: Recipe, quarantine: Path, held_out: HeldOutImages | None = None, report: Reporter = silent
) -> DataReport:
    """Looks at all of a recipe's training data, and lists the rows that cannot be trained on.

    Args:
        recipe: A loaded recipe with a section `data`.
        quarantine: The file that the list is written to, where there are such rows; whole or not at all.
        held_out: The images of further benchmarks; those of the data source itself are added.
        report: Told about progress.

    Raises:
        RecipeError: The recipe has no data, names no known source, or a setting is wrong.
        DataError: A file or folder is missing, is not what it should be, or was changed while it was read.
    """
    check_paths(recipe)
    images = held_out or HeldOutImages()
    stream = _stream(recipe, report)
    if stream is None:
        source = open_source(recipe, report)
        for split in ("val", "test"):
            for benchmark in source.benchmarks(split).values():
                images.add(f"{benchmark.name} ({split})", (q.image for q in benchmark.questions), source)
        stream = OpenedRows(source)
    texts, why = _texts(recipe)
    result = check_stream(stream, texts, images, lambda rows: write_quarantine(quarantine, rows), report)
    result.no_texts = why
    return result


def check_quickly(recipe: Recipe, seconds: float = QUICK_SECONDS) -> None:
    """Raises if files or many images are missing, from what can be seen of the data within some seconds.

    Args:
        recipe: A loaded recipe; one without data, or whose source is made on the spot, passes.
        seconds: How long rows are looked at.

    Raises:
        DataError: A file or folder is missing, or more images of the first rows than training bears.
    """
    if recipe.data is None or source_factory(recipe).made_here:
        return
    check_paths(recipe)
    stream = _stream(recipe, silent)
    if stream is None:
        return
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
            where=f"data of {recipe.name}",
            hint="Look at data.images, and whether all archives are unpacked. `cobra-kit data check` lists every row "
            "without its picture, for training to leave out.",
        )


def check_paths(recipe: Recipe) -> None:
    """Raises if a file or folder that the source's settings name is not there; the message lists all of them.

    Raises:
        DataError: Something is missing.
    """
    gone = [(name, path) for name, path in named_paths(source_settings(recipe)) if not expanded(path).exists()]
    if gone:
        factory = source_factory(recipe)
        lines = [f"data.{name}: {path} is not there" for name, path in gone[1:]]
        lines += [line for name in dict.fromkeys(name for name, _ in gone) for line in factory.remedies(name)]
        name, path = gone[0]
        raise DataError(
            f"{len(gone)} of the files and folders of the data are not there",
            where=f"data.{name}: {path}",
            hint="\n".join(lines) or "Give its path.",
        )


def named_paths(settings: BaseModel) -> list[tuple[str, Path]]:
    """Returns the files and folders that settings name, each with its setting."""
    named = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        named += [(name, path) for path in values if isinstance(path, Path)]
    return named


def _stream(recipe: Recipe, report: Reporter) -> RowStream | None:
    extension, settings = source_extension(recipe), source_settings(recipe)
    factory = extension.load_source()
    with attributed((extension,)):
        return factory.stream(settings, report)


def _texts(recipe: Recipe) -> tuple[TextCheck | None, str]:
    """Returns what looks at texts, or why nothing does: a tokenizer may not be here."""
    from cobra_kit.model import compose  # torch comes in only now: missing files are told at once

    try:
        return TextCheck(compose(recipe, device="meta").processor.codec), ""
    except CobraError as error:
        return None, first_line(error)
