"""The part that the sources of conversations share: rows for every stage, images of the training split alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cobra_kit.data.rejects import Rejects
from cobra_kit.data.rows import FormerNames
from cobra_kit.errors import DataError
from cobra_kit.interfaces import Benchmark, HeldOutSplit, Split, TextForm, TrainingRow, used_images


class ConversationSource(FormerNames):
    """Conversations, with images or without; there are no held-out questions and no plain text.

    Args:
        place: The files, for errors.
        rows: The rows that keep to the form.
        rejects: The rows that do not, and why.
        captions: The same two of the align stage, where it has rows of its own.
    """

    def __init__(
        self,
        place: str,
        rows: tuple[TrainingRow, ...],
        rejects: Rejects,
        captions: tuple[tuple[TrainingRow, ...], Rejects] | None = None,
    ) -> None:
        self._place = place
        self.rows, self.rejects = rows, rejects
        self.caption_rows, self.caption_rejects = (rows, rejects) if captions is None else captions

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns the rows without images; LLaVA's form has no plain text.

        Raises:
            DataError: No row is without an image, or plain text is asked for.
        """
        text_rows = tuple(row for row in self.rows if not row.images)
        if form == "conversations" and text_rows:
            return text_rows
        raise DataError(
            "rows in LLaVA's form are conversations, no plain text" if text_rows else "every row has a picture",
            where=self._place,
            hint="Leave the text stages out (train.pretrain_text, train.instruct_text) and begin with a language model "
            "that has read enough.",
        )

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the images of the training rows; none for the other splits."""
        return used_images((*self.rows, *self.caption_rows)) if split == "train" else ()

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns no benchmark: the rows are for training."""
        return {}
