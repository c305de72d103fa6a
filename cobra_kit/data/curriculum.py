"""Easy questions first: rows cut down to the turns of some kinds."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError
from cobra_kit.text.markers import IMAGE_MARKER


def rows_of_kinds(rows: Sequence[TrainingRow], kinds: Collection[str]) -> tuple[TrainingRow, ...]:
    """Returns the rows with only the turns of these kinds; a row that has none is left out.

    Where the turn that opens with the image is dropped, the first one that is kept takes its markers.

    Raises:
        DataError: No row has a turn of these kinds; names the kinds there are.
    """
    known = dict.fromkeys(kind for row in rows for kind in row.kinds)
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        there = f"The kinds there are: {', '.join(known)}." if known else "This data source names no kinds of question."
        raise DataError(
            f"no training question is of the kind {', '.join(map(repr, unknown))}", where="curriculum.kinds", hint=there
        )
    return tuple(cut for row in rows if (cut := _cut(row, kinds)) is not None)


def _cut(row: TrainingRow, kinds: Collection[str]) -> TrainingRow | None:
    kept = [number for number, kind in enumerate(row.kinds) if kind in kinds]
    if not kept:
        return None
    turns = [row.turns[number] for number in kept]
    dropped = [question for number, (question, _) in enumerate(row.turns) if number not in kept]
    markers = sum(question.count(IMAGE_MARKER) for question in dropped)
    if markers:
        question, answer = turns[0]
        turns[0] = (f"{IMAGE_MARKER}\n" * markers + question, answer)
    return TrainingRow(row.row_id, row.images, tuple(turns), tuple(row.kinds[number] for number in kept))
