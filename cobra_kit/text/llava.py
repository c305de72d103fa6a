"""Rows in LLaVA's form to conversations, torch-free, strictly.

`{"id", "image"?, "conversations": [{"from": "human" | "gpt", "value"}, ...]}`; other keys are ignored.
Peers tell by a turn's index who speaks, so a row that begins with `gpt` trains on the question without a word;
here each such row is an error that names it, to be counted, mended or dropped by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from cobra_kit.errors import TextError
from cobra_kit.text.markers import IMAGE_MARKER

SPEAKERS = ("human", "gpt")


@dataclass(frozen=True, slots=True)
class Conversation:
    """One training row.

    Args:
        id: The row's id, unique within its file.
        turns: (question, answer) pairs; questions hold one `<image>` marker per image.
        images: Paths of the images, relative to the data set's image folder; empty for text-only rows.
    """

    id: str
    turns: tuple[tuple[str, str], ...]
    images: tuple[str, ...] = ()


def parse_llava_row(row: object, *, where: str | None = None) -> Conversation:
    """Returns the conversation of one row.

    Args:
        row: A decoded JSON object. `image` is a path, or a list of paths for several images.
        where: The place of the row, such as `train.json:12`, put in front of its id in error messages.

    Raises:
        TextError: The row breaks the form; the message says how.
    """
    if not isinstance(row, Mapping):
        raise TextError(f"a row must be an object, not {_kind(row)}", where=where)
    identity = row.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise TextError(f"a row needs an `id` (a text or a whole number), not {identity!r}", where=where)
    place = f"{where}: row {identity}" if where else f"row {identity}"
    _check_characters(str(identity), "the `id`", where)
    values = _values(row.get("conversations"), place)
    turns = tuple(zip(values[::2], values[1::2], strict=True))
    images = _images(row.get("image"), place)
    _check_markers(turns, images, place)
    return Conversation(str(identity), turns, images)


def caption_of(conversation: Conversation) -> str:
    """Returns the caption that the align stage learns: the only answer; the question is thrown away.

    Raises:
        TextError: The conversation has more than one turn of each side.
    """
    if len(conversation.turns) != 1:
        raise TextError(
            f"a caption row has one question and one answer, not {len(conversation.turns)} of each",
            where=f"row {conversation.id}",
            hint="Conversations belong in the finetune stage.",
        )
    return conversation.turns[0][1]


def _values(turns: object, place: str) -> list[str]:
    """Returns the texts of the turns, human and gpt in alternation."""
    if not _is_list(turns):
        raise TextError(f"`conversations` must be a list of turns, not {_kind(turns)}", where=place)
    if not turns:
        raise TextError("the conversation has no turns", where=place, hint="Drop the row.")
    values = [_value(turn, number, place) for number, turn in enumerate(turns, start=1)]
    if len(values) % 2:
        raise TextError(
            f"the conversation has {len(values)} turns, an odd number: the last question has no answer",
            where=place,
            hint="Drop the last turn or the row.",
        )
    return values


def _value(turn: object, number: int, place: str) -> str:
    if not isinstance(turn, Mapping):
        raise TextError(f"turn {number} must be an object, not {_kind(turn)}", where=place)
    if "from" not in turn and "role" in turn:
        raise TextError(
            f"turn {number} has the keys {', '.join(map(repr, list(turn)[:4]))}; LLaVA's form has 'from' and 'value'",
            where=place,
            hint='Write {"from": "human" or "gpt", "value": TEXT}.',
        )
    speaker, value = turn.get("from"), turn.get("value")
    if speaker not in SPEAKERS:
        raise TextError(
            f"turn {number} is spoken by {speaker!r}; expected 'human' or 'gpt'",
            where=place,
            hint="LLaVA's form has no system turns; rename or drop other speakers.",
        )
    if speaker != SPEAKERS[(number - 1) % 2]:
        if number == 1:
            raise TextError("the conversation starts with 'gpt'", where=place, hint="Drop the first turn.")
        raise TextError(
            f"turns {number - 1} and {number} are both spoken by {speaker!r}",
            where=place,
            hint="Join them into one turn, or drop the row.",
        )
    if not isinstance(value, str):
        raise TextError(f"the `value` of turn {number} must be a text, not {_kind(value)}", where=place)
    _check_characters(value, f"the `value` of turn {number}", place)
    return value


def _images(value: object, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    paths = []
    for path in value if _is_list(value) else [value]:
        if not isinstance(path, str) or not path:
            raise TextError(f"`image` must be a path or a list of paths, not {path!r}", where=place)
        _check_characters(path, "`image`", place)
        paths.append(path)
    return tuple(paths)


def _check_markers(turns: Sequence[tuple[str, str]], images: Sequence[str], place: str) -> None:
    for number, (_, answer) in enumerate(turns, start=1):
        if IMAGE_MARKER in answer:
            raise TextError(
                f"answer {number} holds an {IMAGE_MARKER} marker",
                where=place,
                hint="Markers belong in questions; mend or drop the row.",
            )
    markers = sum(question.count(IMAGE_MARKER) for question, _ in turns)
    if markers == len(images):
        return
    if not images:
        raise TextError(
            f"{markers} {IMAGE_MARKER} marker(s), but the row has no `image`",
            where=place,
            hint="Name the image, or remove the marker.",
        )
    raise TextError(
        f"{len(images)} image(s), but {markers} {IMAGE_MARKER} marker(s) in the questions",
        where=place,
        hint=f"Write one {IMAGE_MARKER} per image where it belongs, such as at the start of the first question.",
    )


def _check_characters(text: str, what: str, place: str | None) -> None:
    """Refuses half of a character pair (`\\ud83d` alone), which JSON can write and nothing can encode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise TextError(
            f"{what} holds half a character, {half} alone",
            where=place,
            hint="Whatever wrote the file cut a text within a character; mend or drop the row.",
        ) from error


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
