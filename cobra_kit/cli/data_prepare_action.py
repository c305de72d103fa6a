"""The work of `cobra-kit data prepare`."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from cobra_kit import columns
from cobra_kit.cli.exit_codes import FAILED
from cobra_kit.cli.progress import progress
from cobra_kit.data.public.preparing import FileState, public_sets
from cobra_kit.data.public.preparing import prepare as prepare_set
from cobra_kit.errors import DataError
from cobra_kit.files import expanded
from cobra_kit.formatting import escaped_json, printable_lines
from cobra_kit.interfaces import PublicSet


def list_all(*, as_json: bool) -> None:
    """Prints the public data sets that the plugins here know."""
    sets = public_sets()
    if as_json:
        _echo_json([{"name": name, "title": item.title} for name, item in sets.items()])
        return
    width = max((len(name) for name in sets), default=0)
    _echo([f"{name:<{width}}  {item.title}" for name, item in sets.items()] or ["No plugin here knows a public set."])


def prepare(name: str, root: Path, *, download: bool, again: bool, as_json: bool) -> None:
    """Prints how the files of a set stand, once what can be fetched is there; exits with 1 if some are missing."""
    sets = public_sets()
    if name not in sets:
        close = get_close_matches(name, sets, n=1)
        hint = (f"Did you mean {close[0]}? " if close else "") + "`cobra-kit data prepare` lists all."
        raise DataError(f"no public data set named {name!r}", hint=hint)
    item, folder = sets[name], expanded(root)
    with progress(None) as report:
        states = prepare_set(item, folder, download=download, again=again, report=report)
    if as_json:
        _echo_json(_as_json(item, states))
    else:
        _echo(_text(item, states, folder))
    if any(state.state in ("missing", "wrong") for state in states):
        raise typer.Exit(FAILED)


def _text(item: PublicSet, states: list[FileState], root: Path) -> list[str]:
    lines = [f"{item.name}: {item.title}", f"licence  {item.licence}", f"facts    {item.facts}", ""]
    for state in states:
        lines.append(f"{state.state:<10} {state.place}  ({state.file.what}{'; ' + state.why if state.why else ''})")
        if state.state in ("missing", "wrong"):
            lines += [f"{'':<11}{line}" for line in _to_do(state)]
    lines += ["", *(note.replace("{root}", str(root)) for note in item.notes)]
    if item.settings:
        lines += ["In a recipe:", f"  {item.settings.replace('{root}', str(root))}"]
    return lines


def _to_do(state: FileState) -> list[str]:
    file = state.file
    origin = file.link or f"by hand, from {file.page}"
    if file.unpacked is not None:
        return [f"get {origin}", f"and unpack it to {state.place}"]
    return [f"get {origin}", f"and put it at {state.place}"]


def _as_json(item: PublicSet, states: list[FileState]) -> dict[str, Any]:
    return {
        "name": item.name,
        "title": item.title,
        "licence": item.licence,
        "facts": item.facts,
        "notes": list(item.notes),
        "files": [
            {
                "place": str(state.place),
                "what": state.file.what,
                "state": state.state,
                "why": state.why or None,
                "link": state.file.link,
                "page": state.file.page,
                "size": state.file.size,
                "sha256": state.file.sha256,
                "rows": state.file.rows,
            }
            for state in states
        ],
    }


def _echo(lines: list[str]) -> None:
    typer.echo(printable_lines("\n".join(lines), columns.width() or 2000))


def _echo_json(value: Any) -> None:
    typer.echo(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))
