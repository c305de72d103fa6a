"""The table as JSON and back, so that a report can be drawn again without the scores."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cobra_kit.arguments import instance
from cobra_kit.arguments import text as _text
from cobra_kit.errors import CobraError
from cobra_kit.report.table import MIN_SEEDS, AblationTable

_OLDER = "made by an older version: its verdicts are as it gave them, without those of one or two training runs"
_NARROWER = "made by an older version: it tells no steps to a level and no machine that its runs were made on"
_FORM = 1  # goes up when an older version could no longer read the table


def table_to_json(table: AblationTable) -> str:
    """Returns the table as JSON with a `form` number; scores and differences are in points."""
    body = _adapter().dump_python(instance(table, AblationTable, "table"), mode="json")
    return json.dumps({"form": _FORM, **body}, indent=2, allow_nan=False) + "\n"


def table_from_json(text: str, where: str | None = None) -> AblationTable:
    """Returns the table that `table_to_json` wrote.

    Args:
        text: The file's text.
        where: The file's name, for errors.

    Raises:
        CobraError: If the text is no JSON, of another form, or lacks a part.
    """
    try:
        body = json.loads(_text(text, "a table's JSON"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise CobraError(f"not JSON: {error}", where=where) from error
    form = body.pop("form", None) if isinstance(body, dict) else None
    if form != _FORM:
        raise CobraError(
            f"a table of form {form}, this version reads form {_FORM}",
            where=where,
            hint="make the table again from the study's scores",
        )
    narrower = "learning" not in body and "machines" not in body
    older = _complete(body)
    try:
        table = _adapter().validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CobraError(f"damaged table: {place}: {first['msg']}", where=where) from error
    told = [note for note, holds in ((_OLDER, older), (_NARROWER, narrower)) if holds]
    return replace(table, notes=(*table.notes, *told)) if told else table


def _complete(body: dict[str, Any]) -> bool:
    """Adds what tables did not say of a difference before verdicts needed several seeds; returns whether any did not.

    What one training run was said to show then is taken back here, since its interval spoke of images alone.
    """
    older = False
    seeds = len(body["seeds"]) if isinstance(body.get("seeds"), list) else 0
    for row in body.get("rows") or ():
        for name in ("differences", "controls"):
            changes = row.get(name) if isinstance(row, dict) else None
            for change in changes.values() if isinstance(changes, dict) else ():
                if not isinstance(change, dict) or "seeds" in change:
                    continue
                older = True
                change |= {"seeds": seeds, "level": body.get("level")}
                if name == "differences" and seeds < MIN_SEEDS:
                    change |= dict.fromkeys(("low", "high", "p_value", "p_holm", "detectable"))
    return older


@functools.cache
def _adapter() -> TypeAdapter[AblationTable]:
    return TypeAdapter(AblationTable)
