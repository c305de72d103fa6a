"""Training rows, tokenised and laid out once; images join them batch by batch."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from cobra_kit.data.cuts import CutCount
from cobra_kit.data.images import Images
from cobra_kit.data.rejects import Rejects
from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError, TextError
from cobra_kit.events import Progress, Reporter, silent
from cobra_kit.interfaces import Layout, TokenShape
from cobra_kit.model import Batch, CachedFeatures, LossUnit, PreparedRow, Processor
from cobra_kit.text.encode import NothingLeftError

_REPORT_EVERY = 1000
_NO_VALUES = torch.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowForm:
    """The part of its rows that a stage learns.

    Args:
        captions: Learn the first answer alone and leave the prompt out (a caption, or a passage of text).
        text: The rows have no images; else captions without an image are left out, since they teach a projector
            nothing.
        loss_unit: What counts the same in the loss, `token` or `answer`.
    """

    captions: bool = False
    text: bool = False
    loss_unit: LossUnit = "token"


_CONVERSATIONS = RowForm()


class TrainingSet:
    """Rows of one stage, ready to be batched.

    Args:
        rows: The data source's rows.
        processor: Processor of the model to be trained.
        images: The images, readable ones only.
        form: What is learnt of the rows.
        report: Told about progress and about rows that are left out.

    Attributes:
        lengths: Tokens per row, visual tokens included.
        rejects: Rows that cannot be learnt from, with reasons.
        cuts: What was cut from rows that are too long.
        unused_turns: Turns behind the first one, of which a stage of captions learns nothing.

    Raises:
        DataError: No row is left.
    """

    def __init__(
        self,
        rows: Sequence[TrainingRow],
        processor: Processor,
        images: Images,
        form: RowForm = _CONVERSATIONS,
        *,
        report: Reporter = silent,
    ) -> None:
        self._processor, self._images, self._form = processor, images, form
        self._rows: list[PreparedRow] = []
        self._image_ids: list[tuple[str, ...]] = []
        self.rejects = Rejects(len(rows))
        self.cuts = CutCount(processor.codec.max_text_tokens)
        self.unused_turns = 0
        for number, row in enumerate(rows, start=1):
            self._add(row)
            if number % _REPORT_EVERY == 0 or number == len(rows):
                report(Progress(task="tokenising", done=number, total=len(rows), unit="rows"))
        self.lengths = [row.num_tokens for row in self._rows]
        self.rejects.announce(report, "training rows", "rows are left out")
        if not self._rows:
            hint = self.rejects.summary("rows are left out") if rows else "The training split is empty."
            raise DataError("no training row is left", hint=hint)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Returns the rows with these numbers, with their images, as a batch on the CPU."""
        images = [tuple(self._images.load(name) for name in self._image_ids[i]) for i in indices]
        rows = [replace(self._rows[i], images=own) for i, own in zip(indices, images, strict=True)]
        return self._processor.collate(rows, loss_unit=self._form.loss_unit)

    def _add(self, row: TrainingRow) -> None:
        unreadable = [name for name in row.images if name in self._images.unreadable]
        if unreadable:
            return self.rejects.add(f"row {row.row_id}", f"its picture {unreadable[0]} cannot be read")
        if self._form.captions and not row.images and not self._form.text:
            return self.rejects.add(f"row {row.row_id}", "no picture, so nothing for the projector to learn")
        try:
            prepared = self._lay_out(row)
        except TextError as error:
            if isinstance(error, NothingLeftError):
                self.cuts.add(row.row_id, error)
            return self.rejects.add(f"row {row.row_id}", error.message)
        self.cuts.add(row.row_id, prepared.text)
        if not prepared.num_supervised:
            return self.rejects.add(f"row {row.row_id}", "no token to learn")
        self._rows.append(_compact(prepared))
        self._image_ids.append(row.images)
        self.unused_turns += len(row.turns) - 1 if self._form.captions else 0
        return None

    def _lay_out(self, row: TrainingRow) -> PreparedRow:
        # Only the shapes matter for a layout; the values come when the row is batched.
        shapes = [CachedFeatures(_NO_VALUES, self._shape(name)) for name in row.images]
        if self._form.captions:
            if not row.turns:
                raise TextError("the row has no turns")
            return self._processor.caption_row(row.turns[0][1], shapes)
        return self._processor.row(row.turns, shapes)

    def _shape(self, name: str) -> TokenShape:
        try:
            return self._images.shape(name)
        except KeyError:
            raise TextError(f"the data source does not list its picture {name!r} for this stage") from None


def _compact(row: PreparedRow) -> PreparedRow:
    """Returns the row with its layout in arrays: an eighth of the memory, and quicker to collate."""
    layout = Layout(
        kind=array("b", row.layout.kind),
        index=array("i", row.layout.index),
        labels=array("i", row.layout.labels),
    )
    return replace(row, images=(), layout=layout)
