"""A folder that is whole or absent: written beside its place, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.files import contents, folder_beside, replace_folder

_OURS = {
    "README.md",
    "checkpoints",
    "config.json",
    "imported.json",
    "lock.json",
    "mm_projector.bin",
    "model.safetensors",
    "modeling_cobra_kit.py",
    "processor_config.json",
    "projector.safetensors",
    "recipe.yaml",
    "tokenizer.json",
    "tokenizer_config.json",
}
"""What imports and exports write; a folder with anything else in it is never replaced."""


def check_output(path: Path, *, force: bool, source: Path | None = None) -> None:
    """Looks whether a folder may be written, before any work is done for it.

    Args:
        path: The folder to write.
        force: Whether a folder that an earlier import or export wrote may be replaced.
        source: What is read; a folder is never replaced by something made of it.

    Raises:
        CobraError: Something is there and `force` is not given, or it holds what no import or export wrote.
    """
    # Not Path.resolve, which raises a bare RuntimeError on symbolic links that lead in a circle.
    if source is not None and os.path.realpath(path) in {
        os.path.realpath(place) for place in (source, *Path(os.path.realpath(source)).parents)
    }:
        raise CobraError("this is where the model is read from", where=str(path), hint="Choose another --out.")
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise CobraError("is there already and is no folder", where=str(path), hint="Choose a new folder with --out.")
    inside = contents(path) if path.is_dir() else []
    others = [name for name in inside if name not in _OURS]
    if others:
        raise CobraError(
            f"the folder holds other things: {', '.join(others[:3])}",
            where=str(path),
            hint="Nothing there is touched, with --force either. Choose a new folder with --out.",
        )
    if inside and not force:
        raise CobraError(
            f"the folder is there already and holds {', '.join(inside[:3])}",
            where=str(path),
            hint="Choose a new folder with --out, or replace this one with --force.",
        )


@contextmanager
def whole_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields an empty folder beside `path`; on leaving without an error it takes the place of `path`.

    Whoever looks at `path` sees nothing, or what was there before, or all of the new folder. A kill leaves a folder
    whose name begins with a dot and ends in `.tmp` behind, never one named `path` with half of the files.

    Args:
        path: The folder to write; parents are made.
        force: Replace a folder that an earlier import or export wrote.

    Raises:
        CobraError: See `check_output`; or the folder cannot be written.
    """
    path = Path(os.path.abspath(path))  # `.` has no name to write beside
    check_output(path, force=force)
    try:
        with folder_beside(path) as temporary:
            yield temporary
            replace_folder(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = f"Check that {path.parent} is a folder you may write to, and its free space."
        raise CobraError(f"cannot write: {reason}", where=str(path), hint=hint) from error
