"""The files of a public data set under a root folder: what is there, what is fetched, what somebody has to bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cobra_kit._plugins import default_registry
from cobra_kit.data.json_stream import stream_rows
from cobra_kit.data.public.fetching import NoNetworkError, fetch
from cobra_kit.data.public.unpacking import unpack
from cobra_kit.errors import CobraError, DataError, PluginError, UnreadableFile
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import read_json, write_json
from cobra_kit.interfaces import PublicFile, PublicSet

RECORD = ".cobra-kit-prepared.json"
_MOST_TOPS = 1000

State = Literal["ready", "unchecked", "missing", "wrong"]
"""`ready`: fetched or checked here; `unchecked`: put there by hand; `wrong`: there, but not what it should be."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file of a set, as it stands.

    Args:
        file: The file as it is distributed.
        place: Where it is, or its unpacked content, or is to be.
        state: How it is.
        why: What is wrong or was found, in words.
    """

    file: PublicFile
    place: Path
    state: State
    why: str = ""


def public_sets() -> Mapping[str, PublicSet]:
    """Returns the public data sets that the plugins here know, by name; a plugin that is broken has none."""
    registry, sets = default_registry(), dict[str, PublicSet]()
    for kind in ("data_source", "benchmark"):
        for extension in registry.extensions(kind):
            try:
                factory = extension.load_source() if kind == "data_source" else extension.load_benchmark()
            except PluginError:
                continue
            sets |= {item.name: item for item in factory.public_sets()}
    return dict(sorted(sets.items()))


def prepare(
    item: PublicSet, root: Path, *, download: bool = True, again: bool = False, report: Reporter = silent
) -> list[FileState]:
    """Brings a set's files to a root folder as far as that goes, and returns how each of them stands.

    Args:
        item: The public set.
        root: The folder; sets that share files share them there.
        download: Whether files that are not there are fetched.
        again: Fetch and unpack again what is there but wrong.
        report: Told about progress, and about files that could not be fetched.

    Raises:
        DataError: The root folder cannot be used.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot be made: {error.strerror}", where=str(root), hint="--root must name a folder."
        ) from error
    states, reachable = [], download
    for file in item.files:
        state = _look(file, root)
        if (state.state == "missing" or (again and state.state == "wrong")) and reachable and _can_come(file, root):
            try:
                state = _bring(file, root, report)
            except NoNetworkError as error:
                reachable = False
                report(Message(text=f"no file is fetched: {error}", level="warning"))
            except CobraError as error:
                state = replace(state, why=error.message)
                report(Message(text=f"{file.path}: {error}", level="warning"))
        states.append(state)
    return states


def _can_come(file: PublicFile, root: Path) -> bool:
    return file.link is not None or (file.unpacked is not None and (root / file.path).is_file())


def _look(file: PublicFile, root: Path) -> FileState:
    """Returns how a file stands, without reading all of it."""
    record, path = _record(root).get(file.path, {}), root / file.path
    if file.unpacked is not None:
        folder = root / file.unpacked
        if record.get("unpacked"):
            gone = [name for name in record.get("tops", []) if not (folder / name).exists()]
            if gone:
                return FileState(file, folder, "missing", f"{gone[0]} is no longer there")
            return FileState(file, folder, "ready", f"{record['unpacked']:,} files")
        if (root / (file.holds or file.unpacked)).exists() and not path.is_file():
            return FileState(file, folder, "unchecked", "the folder is there; it was not unpacked here")
        return FileState(file, folder, "missing")
    if not path.is_file():
        return FileState(file, path, "missing")
    size = path.stat().st_size
    expected = record.get("size") or file.size
    if expected is not None and size != expected:
        return FileState(file, path, "wrong", f"{size:,} bytes, expected {expected:,}")
    if record:
        return FileState(file, path, "ready", _told(record))
    return _checked(file, path, root, {"size": size, "by": "hand"})


def _bring(file: PublicFile, root: Path, report: Reporter) -> FileState:
    path = root / file.path
    facts: dict[str, Any] = {"by": "hand"}
    if file.link is not None and not (file.unpacked is not None and path.is_file()):
        fetched = fetch(file.link, path, size=file.size, sha256=file.sha256, report=report)
        facts = {"size": fetched.size, "sha256": fetched.sha256, "by": file.link}
    if file.unpacked is None:
        return _checked(file, path, root, facts)
    count, tops = unpack(path, root / file.unpacked, report)
    facts |= {"unpacked": count, "tops": tops[:_MOST_TOPS]}
    _note(root, file.path, facts)
    path.unlink()  # it would take its room a second time
    return FileState(file, root / file.unpacked, "ready", f"{count:,} files")


def _checked(file: PublicFile, path: Path, root: Path, facts: dict[str, Any]) -> FileState:
    """Counts a file's rows, where their number is known, and notes what it is."""
    if file.rows is not None:
        try:
            facts["rows"] = sum(1 for _ in stream_rows(path))
        except DataError as error:
            return FileState(file, path, "wrong", f"{error.message}")
        if facts["rows"] != file.rows:
            return FileState(file, path, "wrong", f"{facts['rows']:,} rows, expected {file.rows:,}")
    elif facts["by"] == "hand":
        return FileState(file, path, "unchecked", "put there by hand; neither its size nor its count is stated")
    _note(root, file.path, facts)
    return FileState(file, path, "ready", _told(facts))


def _told(facts: Mapping[str, Any]) -> str:
    rows = f"{facts['rows']:,} rows, " if facts.get("rows") else ""
    return f"{rows}{facts.get('size', 0):,} bytes"


def _record(root: Path) -> dict[str, Any]:
    try:
        value = read_json(root / RECORD)
    except (OSError, UnreadableFile, ValueError):
        return {}  # it only saves looking again
    return value if isinstance(value, dict) else {}


def _note(root: Path, path: str, facts: Mapping[str, Any]) -> None:
    write_json(root / RECORD, {**_record(root), path: dict(facts)})
