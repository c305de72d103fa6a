"""The places of a benchmark's files: where the settings say, or by their official names below its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cobra_kit.errors import DataError
from cobra_kit.files import expanded
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles
from cobra_kit_benchmarks.common.protocol import Protocol
from cobra_kit_benchmarks.config import BenchmarkSettings

IMAGES = "images"
_OCR = "ocr"


def expected_files(
    definition: Definition, protocol: Protocol, settings: BenchmarkSettings, root: Path | None
) -> Mapping[str, Path]:
    """Returns files and folder of images by role; where nothing is there yet, under the first of its official names.

    Args:
        definition: The benchmark whose files they are.
        protocol: How it is asked: without OCR tokens in the wording, no file of them is wanted.
        settings: Where its folder is, and files of other names.
        root: What a relative folder starts at; None: the working directory.
    """
    folder = (root or Path()) / expanded(settings.folder)
    given = settings.model_dump(include={"annotations", "questions", _OCR, IMAGES})
    return {
        role: folder / expanded(given[role]) if given.get(role) else _first(folder, names)
        for role, names in _wanted(definition, protocol).items()
    }


def check_present(files: Mapping[str, Path], definition: Definition, protocol: Protocol) -> None:
    """Raises if a file or folder is not there; the message lists all that are not.

    Raises:
        DataError: Something is missing.
    """
    missing = {role: path for role, path in files.items() if not path.exists()}
    if missing:
        names = _wanted(definition, protocol)
        raise DataError(
            f"{definition.label}: no {' and no '.join(missing)}",
            where=str(next(iter(missing.values()))),
            hint="\n".join(f"`{role}` may be called {', '.join(names[role])}." for role in missing)
            + "\nPut it there, or name it in the benchmark's settings.",
        )


def _wanted(definition: Definition, protocol: Protocol) -> dict[str, tuple[str, ...]]:
    split: SplitFiles = definition.splits[protocol.split]
    with_ocr = "{ocr}" in definition.prompts[protocol.prompt]
    others = {role: names for role, names in split.others.items() if role != _OCR or with_ocr}
    return {"annotations": split.annotations, **others, IMAGES: split.images}


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])
