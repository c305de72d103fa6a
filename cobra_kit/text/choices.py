"""The beginning of an answer: the ids that training supervises for it, and the first of them to choose answers by.

`render` of the prompt template is the one place that says how an answer stands in the text (behind a blank, say), so
nothing here writes a prompt of its own: a conversation of one turn is rendered, and its supervised text is tokenised
apart from the prompt, as `encode` does for a training row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cobra_kit.errors import TextError
from cobra_kit.interfaces import TextCodec

_QUESTION = "What is it?"
"""Stands before the answer; where an answer begins does not depend on what was asked."""


def answer_ids(answer: str, codec: TextCodec) -> list[int]:
    """Returns the ids that training supervises for an answer, its end of text included.

    Raises:
        TextError: The template supervises nothing, or the text is not valid Unicode.
    """
    return [token for _, ids, _ in _supervised(answer, codec) for token in ids]


def first_answer_ids(answers: Sequence[str], codec: TextCodec, *, where: str | None = None) -> list[int]:
    """Returns per answer the id of the one token that it begins with, and consists of, where training supervises it.

    Args:
        answers: What to choose from, such as `("Yes", "No")`.
        codec: Tokenizer and template.
        where: Which benchmark or question this is, for errors.

    Raises:
        TextError: An answer is not text or not exactly one token, or two answers are the same token.
    """
    if isinstance(answers, str) or not all(isinstance(answer, str) for answer in answers):
        raise TextError(
            f"expected a list of answers to choose from, not {answers!r}",
            where=where,
            hint="Give texts, such as ['Yes', 'No'].",
        )
    first: dict[int, str] = {}
    for answer in answers:
        tokens = _own_ids(answer, codec)
        if len(tokens) != 1:
            pieces = ", ".join(repr(codec.tokenizer.decode([token])) for token in tokens[:8])
            raise TextError(
                f"answer {answer!r} is {len(tokens)} tokens"
                f"{f' in this prompt template ({pieces})' if tokens else ''}, so it has no first-token probability",
                where=where,
                hint="Compare answers that are one token each, such as 'Yes' and 'No', or have the answer generated.",
            )
        if tokens[0] in first:
            raise TextError(
                f"answers {first[tokens[0]]!r} and {answer!r} are the same token, so their probabilities are the same",
                where=where,
                hint="Compare answers whose first tokens differ, such as 'Yes' and 'No'.",
            )
        first[tokens[0]] = answer
    return list(first)


def _own_ids(answer: str, codec: TextCodec) -> list[int]:
    """Returns the ids of an answer as it stands in the text, without what the template ends it with."""
    text, own = answer.strip(), list[int]()
    if not text:
        return own
    for written, ids, offsets in _supervised(answer, codec):
        begin = written.find(text)
        if begin >= 0:
            return own + [token for token, (start, _) in zip(ids, offsets, strict=True) if start < begin + len(text)]
        own += ids
    # The template writes the answer otherwise than it was given; then its end of text says where it ends.
    end = codec.tokenizer.eos_id
    return own[: own.index(end)] if end in own else own


def _supervised(answer: str, codec: TextCodec) -> Iterator[tuple[str, list[int], list[tuple[int, int]]]]:
    """Yields text, ids and their places (characters) of each supervised segment of a conversation of one turn."""
    segments = [
        segment for segment in codec.template.render([(_QUESTION, answer)], for_generation=False) if segment.supervised
    ]
    if not segments:
        raise TextError(
            f"{type(codec.template).__name__} supervises nothing of the answer {answer!r}",
            hint="`render` gives the answer as a segment with supervised=True.",
        )
    for segment in segments:
        yield segment.text, *codec.tokenizer.encode_with_offsets(segment.text)
