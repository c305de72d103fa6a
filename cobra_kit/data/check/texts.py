"""The texts of rows as training will read them: what is cut, what carries loss, and a row shown with that marked."""

from __future__ import annotations

from itertools import groupby

from cobra_kit.data.cuts import CutCount, may_be_long
from cobra_kit.errors import TextError
from cobra_kit.interfaces import IGNORE_INDEX, TextCodec, TrainingRow
from cobra_kit.text.encode import EncodedRow, NothingLeftError, encode_conversation

_LONGEST = 1200


class TextCheck:
    """Counts what is cut; rows that can be neither too long nor empty are not tokenised.

    Args:
        codec: Tokenizer, template and the longest text.

    Attributes:
        cuts: What was cut; of rows that were not tokenised, nothing can be.
    """

    def __init__(self, codec: TextCodec) -> None:
        self._codec = codec
        self.cuts = CutCount(codec.max_text_tokens)

    def problem(self, row: TrainingRow) -> str | None:
        """Returns why nothing can be learnt from a row; None where something can."""
        if not may_be_long(row, self._codec, False) and any(answer.strip() for _, answer in row.turns):
            return None
        try:
            encoded = encode_conversation(row.turns, self._codec, num_images=len(row.images))
        except NothingLeftError as error:
            self.cuts.add(row.row_id, error)
            return error.message
        except TextError as error:
            return error.message
        self.cuts.add(row.row_id, encoded)
        return None if encoded.supervised_tokens else "no token to learn"

    def marked(self, row: TrainingRow) -> str:
        """Returns a row as the model reads it, what carries loss between « and »."""
        encoded = encode_conversation(row.turns, self._codec, num_images=len(row.images))
        text = _marked(encoded, self._codec)
        images = f" {' '.join(f'[{name}]' for name in row.images)}" if row.images else ""
        return f"{row.row_id}{images}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}"


def _marked(row: EncodedRow, codec: TextCodec) -> str:
    parts = []
    pairs = zip(row.ids, row.labels, strict=True)
    for learnt, group in groupby(pairs, key=lambda pair: pair[1] != IGNORE_INDEX):
        text = codec.tokenizer.decode([token for token, _ in group])
        parts.append(f"«{text}»" if learnt else text)
    return "".join(parts)
