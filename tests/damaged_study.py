"""Damages the files of a study, as disks, power cuts and editors do, and follows what an error advises."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError

SKIPPED = (".lock", ".flock", "table.json", "table.md", "report.html")
"""Locks hold nothing, and tables are written for people: the toolkit reads none of them."""
NEVER_WRITTEN_IN_PLACE = (".safetensors", ".npy")


def files_of(study: Path) -> list[str]:
    """Returns the files of a study that a later step may read, in a fixed order."""
    files = (path for path in study.rglob("*") if path.is_file() and not path.name.endswith(SKIPPED))
    return sorted(str(path.relative_to(study)) for path in files)


def copy_study(study: Path, place: Path) -> Path:
    """Copies a study; its large files are links, since nothing writes into them."""

    def copy(source: str, target: str) -> None:
        path = Path(source)
        if path.suffix in NEVER_WRITTEN_IN_PLACE:
            Path(target).hardlink_to(path)
        else:
            shutil.copyfile(source, target)

    shutil.copytree(study, place, copy_function=copy)
    return place


def damage(path: Path, kind: str, place: float, value: int) -> None:
    """Damages a file: `place` from 0 to 1 says where, `value` how."""
    content = path.read_bytes()
    path.unlink()  # the file may be a link, and the study it was copied from stays
    path.write_bytes(_KINDS[kind](content, place, value))


def _flip(content: bytes, place: float, value: int) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[int(place * (len(changed) - 1))] ^= 1 + value % 255
    return bytes(changed)


def _cut(content: bytes, place: float, value: int) -> bytes:
    return content[: int(place * len(content))]


def _empty(content: bytes, place: float, value: int) -> bytes:
    return b""


def _zeros(content: bytes, place: float, value: int) -> bytes:
    start = int(place * len(content))
    length = min(len(content) - start, 1 + value * 16)
    return content[:start] + b"\0" * length + content[start + length :]


def _swap(content: bytes, place: float, value: int) -> bytes:
    """Puts a value of another type somewhere into JSON, else a piece of the file in another place."""

    def change(plain: Any) -> Any:
        places = list(_places(plain))
        if not places:
            return _OTHERS[value % len(_OTHERS)]
        holder, key = places[int(place * (len(places) - 1))]
        others = [other for other in _OTHERS if type(other) is not type(holder[key])]
        holder[key] = others[value % len(others)]
        return plain

    changed = _in_json(content, place, change)
    if changed is not None:
        return changed
    middle = int(place * len(content))
    return content[middle:] + content[:middle]


def _deepen(content: bytes, place: float, value: int) -> bytes:
    """Nests a JSON value a few or very many levels deeper; other files get brackets in front."""
    depth = (1, 3, 99, 2000, 100_000)[value % 5]
    if depth > 500:  # json.dumps would give up itself
        return b'{"a":' * depth + b"1" + b"}" * depth

    def change(plain: Any) -> Any:
        for _ in range(depth):
            plain = [plain]
        return plain

    changed = _in_json(content, place, change)
    return b"[" * depth + content if changed is None else changed


_OTHERS: tuple[Any, ...] = ("text", 3, -1.5, None, True, [], {}, [1], {"a": 1}, "../../x", "\x1b[31m", 2**70)
_KINDS: dict[str, Callable[[bytes, float, int], bytes]] = {
    "flip": _flip,
    "cut": _cut,
    "empty": _empty,
    "zeros": _zeros,
    "swap": _swap,
    "deepen": _deepen,
}
KINDS = tuple(_KINDS)


def _in_json(content: bytes, place: float, change: Callable[[Any], Any]) -> bytes | None:
    """Returns a JSON file, or a file of JSON lines, with a changed value; None for other files."""
    try:
        return json.dumps(change(json.loads(content)), indent=2).encode() + b"\n"
    except ValueError:
        pass
    lines = content.splitlines(keepends=True)
    if not lines:
        return None
    number = int(place * (len(lines) - 1))
    try:
        lines[number] = json.dumps(change(json.loads(lines[number]))).encode() + b"\n"
    except ValueError:
        return None
    return b"".join(lines)


def _places(plain: Any) -> list[tuple[Any, Any]]:
    if isinstance(plain, dict | list):
        keys = list(plain) if isinstance(plain, dict) else list(range(len(plain)))
        return [(plain, key) for key in keys] + [place for key in keys for place in _places(plain[key])]
    return []


def follow(error: CobraError, study: Path) -> None:
    """Does what an error advises, as far as it is more than giving the same command again."""
    assert error.hint, f"no advice: {error}"
    if not error.hint.startswith("Delete it"):
        assert error.hint.startswith("Give the study's command again"), error
        return
    assert error.where is not None
    head, _, line = error.where.rpartition(":")
    path = Path(head if line.isdecimal() else error.where)
    assert study in path.parents, f"advises to delete what is not the study's: {error}"
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
