"""The cuts that the backbone's longest text makes in training rows: counted, told, and refused where too large.

A row that is too long loses its end, and with it answers and the end of text: a model trained on many of those never
learns to stop. So nobody is to find that out from its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError, TextError
from cobra_kit.events import Message, Reporter
from cobra_kit.interfaces import TextCodec, TextRow
from cobra_kit.text.encode import EncodedRow, NothingLeftError, encode_caption, encode_conversation

MAX_CUT_SHARE = 0.01
"""Share of the supervised tokens that a study's stage may lose unless its recipe allows more."""

LIMIT = "model.backbone.max_text_tokens"
"""What a recipe calls the setting that cuts."""


@dataclass(slots=True)
class CutCount:
    """A count of what was cut from the rows of a stage.

    Args:
        limit: The most text tokens of a row.
        rows: Rows of which a part was cut, those that were left out for it included.
        tokens: Text tokens cut.
        supervised_tokens: How many of them would have carried loss.
        out_of: Tokens that carry loss, in all rows, before the cut.
        first: Name of the first such row; empty without one.
    """

    limit: int
    rows: int = 0
    tokens: int = 0
    supervised_tokens: int = 0
    out_of: int = 0
    first: str = ""

    @property
    def share(self) -> float:
        """Returns which share of the supervised tokens was cut."""
        return self.supervised_tokens / self.out_of if self.out_of else 0.0

    def add(self, name: str, text: TextRow | NothingLeftError) -> None:
        """Counts one row."""
        if isinstance(text, EncodedRow):
            self.out_of += text.supervised_tokens + text.cut_supervised
        elif isinstance(text, NothingLeftError):
            self.out_of += text.cut_supervised
        else:
            return
        if text.cut_tokens:
            self.rows += 1
            self.tokens += text.cut_tokens
            self.supervised_tokens += text.cut_supervised
            self.first = self.first or name

    def summary(self, rows: int) -> str:
        """Returns what was cut in one line.

        Args:
            rows: How many rows there are, those that were left out included.
        """
        return (
            f"{self.rows:,} of {rows:,} rows are cut at {self.limit:,} text tokens ({LIMIT}): {self.tokens:,} tokens "
            f"are lost, and with them {self.supervised_tokens:,} of {self.out_of:,} that carry loss ({self.share:.1%})"
        )

    def announce(self, report: Reporter, stage: str, rows: int) -> None:
        """Warns about what was cut; says nothing where that is nothing."""
        if self.rows:
            text = f"{stage}: {self.summary(rows)}; the first is row {self.first}"
            report(Message(text=text, level="warning"))

    def check(self, most: float, stage: str, rows: int) -> None:
        """Raises a `DataError` if more than a share of the supervised tokens was cut."""
        if self.share <= most:
            return
        enough = ceil(100 * self.share) / 100
        raise DataError(
            f"{self.summary(rows)}, more than the {most:.1%} allowed",
            where=f"train.{stage}, row {self.first}",
            hint=f"Raise {LIMIT}, shorten the rows, or allow it: train.{stage}.max_cut_share={enough:g}",
        )

    def figures(self) -> dict[str, int]:
        """Returns the counts under the names that metrics and results have for them."""
        return {
            "cut_rows": self.rows,
            "cut_tokens": self.tokens,
            "cut_supervised_tokens": self.supervised_tokens,
            "supervised_tokens": self.out_of,
        }


def check_long_rows(rows: Sequence[TrainingRow], codec: TextCodec, most: float, stage: str, *, captions: bool) -> None:
    """Raises a `DataError` if a stage would lose more than a share of its supervised tokens.

    For before anything is trained. Rows that cannot be too long are not tokenised, and where none is, no row else.

    Args:
        rows: The rows of the stage.
        codec: Tokenizer, template and the longest text.
        most: The share that may be lost.
        stage: The stage's name.
        captions: Whether it learns first answers alone.
    """
    if not any(may_be_long(row, codec, captions) and _count([row], codec, captions).rows for row in rows):
        return
    _count(rows, codec, captions).check(most, stage, len(rows))


def _count(rows: Sequence[TrainingRow], codec: TextCodec, captions: bool) -> CutCount:
    cuts = CutCount(codec.max_text_tokens)
    for row in rows:
        try:
            if captions:
                cuts.add(row.row_id, encode_caption(row.turns[0][1], codec, num_images=len(row.images)))
            else:
                cuts.add(row.row_id, encode_conversation(row.turns, codec, num_images=len(row.images)))
        except NothingLeftError as error:
            cuts.add(row.row_id, error)
        except (TextError, IndexError):
            continue  # the stage itself counts and tells what it leaves out
    return cuts


def may_be_long(row: TrainingRow, codec: TextCodec, captions: bool) -> bool:
    """Returns whether a row may have too many tokens: none stands for less than a byte, a blank in front aside."""
    turns = row.turns[:1] if captions else row.turns
    size = sum(_bytes(answer) + (0 if captions else _bytes(question)) for question, answer in turns)
    return size + len(turns) * _TEMPLATE_BYTES > codec.max_text_tokens


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


_TEMPLATE_BYTES = 512
"""More than what a template writes around one turn, its system prompt included."""
