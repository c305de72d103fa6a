"""Pictures and questions to the inputs of `CobraKitModel`, and ids back to text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature

from cobra_kit.errors import CobraError
from cobra_kit.exchange.huggingface.locate import local_folder
from cobra_kit.interfaces import Tokenizer
from cobra_kit.model import Processor, processor_of
from cobra_kit.model.checkpoint import resolved_here
from cobra_kit.model.prompts import ImageInput, prompt_rows


class CobraKitProcessor:
    """What `AutoProcessor` returns for an exported folder.

    Args:
        processor: The processor of the model's recipe.
    """

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike[str], *, revision: str | None = None, **_: Any
    ) -> CobraKitProcessor:
        """Returns the processor of an exported folder; no weights are read."""
        return cls(processor_of(resolved_here(local_folder(name_or_path, revision))))

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Does nothing: the model's `save_pretrained` writes the code and the entry in `auto_map`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Returns the tokenizer."""
        return self.processor.codec.tokenizer

    def __call__(
        self, images: ImageInput = None, text: str | Sequence[str] = "", *, return_tensors: str = "pt"
    ) -> BatchFeature:
        """Returns the inputs of `generate`, in the backbone's prompt template.

        Args:
            images: As `VisionLanguageModel.generate` takes them: one picture, or one entry per question.
            text: One question or several, without any template.
            return_tensors: `pt`, the only kind.

        Returns:
            `batch`, which the model runs on, and `input_ids` `[b t]` with `attention_mask`, the prompts' text padded
            on the right; `generate` returns them with the answers behind.

        Raises:
            CobraError: Other tensors than PyTorch's are asked for.
            TextError: Pictures and questions do not match.
        """
        if return_tensors != "pt":
            raise CobraError(f"return_tensors must be 'pt', not {return_tensors!r}")
        rows = list(prompt_rows(self.processor, images, text))
        ids = [torch.tensor(row.text.ids) for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=self.tokenizer.eos_id)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
        batch = self.processor.collate(rows, for_generation=True)
        return BatchFeature({"input_ids": padded, "attention_mask": mask, "batch": batch})

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """Returns the text of one row of ids, special tokens left out."""
        return self.tokenizer.decode(ids.tolist() if isinstance(ids, Tensor) else list(ids)).strip()

    def batch_decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Returns the text of each row of ids, special tokens left out."""
        return [self.decode(row) for row in ids]
