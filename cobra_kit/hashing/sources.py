"""A fingerprint of code: of a package's source files, or of one file."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from cobra_kit.errors import CobraError

SUFFIXES = frozenset({".py", ".pyx", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".so", ".pyd", ".json"})
"""Files that decide what code does; weights, recipes and texts beside them do not."""

_NOT_IMPORTABLE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def source_fingerprint(places: Iterable[Path]) -> str:
    """Returns a hash of the source files of some packages, of their names within the package and of their contents.

    Where a package lies does not matter, nor what is not source (see `SUFFIXES`), nor hidden files and bytecode. A file
    that nobody can import, such as a link to nothing, counts as such.

    Args:
        places: Folders of packages, and single files.

    Raises:
        CobraError: A file cannot be read although it is there: the disk fails, or too many files are open.
    """
    digest = hashlib.sha256()
    for place in places:
        for name, file in _files(place):
            try:
                content = file.read_bytes()
            except _NOT_IMPORTABLE:
                content = b"not importable"
            except OSError as error:
                raise CobraError(
                    f"the source file cannot be read: {error.strerror}",
                    where=str(file),
                    hint="Its content is part of what results depend on.",
                ) from error
            digest.update(f"{place.name}/{name}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
            digest.update(content)
    return digest.hexdigest()


def module_sources(module: str) -> tuple[Path, ...]:
    """Returns where the code around a module is: the folder of its outermost regular package, or its own file.

    A folder that several distributions share (a namespace package) is not taken whole. Nothing is imported that is not
    imported already, but for the packages around the module. Empty where the code is in no file, such as in a zip.

    Args:
        module: Its full name, such as `my_encoders.vision.tower`.
    """
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        spec = _spec(".".join(parts[:length]))
        if spec is None:
            return ()
        if spec.origin is None or not spec.has_location:
            if spec.submodule_search_locations is None:
                return ()
            continue  # a namespace package: whose it is, the next name says
        origin = Path(spec.origin)
        place = origin.parent if spec.submodule_search_locations is not None else origin
        return (place,) if place.exists() else ()
    return ()


def _spec(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None:
        return module.__spec__
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    """Yields the files of a package in a fixed order, by their names within it."""
    if place.is_file():
        yield "", place
        return
    files = []
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        files += [Path(folder, name) for name in names if _is_source(name)]
    named = {file.relative_to(place).as_posix(): file for file in files}
    for name in sorted(named):
        yield name, named[name]


def _is_source(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1] in SUFFIXES  # hidden: editors' own files
