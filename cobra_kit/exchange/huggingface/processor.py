"""Images and questions to the inputs of `CobraKitModel`, and ids back to text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature

from cobra_kit.errors import CobraError
from cobra_kit.exchange.huggingface.locate import local_folder
from cobra_kit.exchange.huggingface.options import OF_THE_LOADER, refuse, unlike
from cobra_kit.files import atomic_write, read_small
from cobra_kit.interfaces import Tokenizer
from cobra_kit.model import Processor, processor_of
from cobra_kit.model.batch import PreparedRow
from cobra_kit.model.checkpoint import resolved_here
from cobra_kit.model.prompts import ImageInput, images_of, prompt_rows
from cobra_kit.text.tokenizer import DEFINITION_BYTES

_FILES = (
    "recipe.yaml",
    "lock.json",
    "processor_config.json",
    "modeling_cobra_kit.py",
    "tokenizer.json",
    "tokenizer_config.json",
)


class CobraKitProcessor:
    """The processor that `AutoProcessor` returns for an exported folder.

    Args:
        processor: The processor of the model's recipe.
        files: What `save_pretrained` writes, by name.
    """

    def __init__(self, processor: Processor, files: Mapping[str, bytes] | None = None) -> None:
        self.processor = processor
        self._files = dict(files or {})

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike[str], *, revision: str | None = None, **options: Any
    ) -> CobraKitProcessor:
        """Returns the processor of an exported folder; no weights are read.

        Raises:
            CobraError: An option that this processor does not have.
        """
        asked = {name for name, value in options.items() if value is not None}
        refuse(asked - OF_THE_LOADER, "from_pretrained", "The recipe in the folder says how images and text are read.")
        folder = local_folder(name_or_path, revision)
        files = {name: read_small(folder / name, DEFINITION_BYTES) for name in _FILES if (folder / name).is_file()}
        return cls(processor_of(resolved_here(folder)), files)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **options: Any) -> None:
        """Writes the files of the folder that the processor was read from, but for the weights.

        Raises:
            CobraError: It was read from none, or the folder holds another model's files.
        """
        asked = unlike(options, {"push_to_hub": False}) - {"token"}
        refuse(asked, "save_pretrained", "It writes what it was read from.")
        if not self._files:
            raise CobraError(
                "this processor was not read from an exported folder, so it has no files to write",
                hint="model.save_pretrained writes the processor's files too.",
            )
        folder = Path(save_directory)
        there = {name: folder / name for name in self._files if (folder / name).is_file()}
        differing = [name for name, file in there.items() if read_small(file, DEFINITION_BYTES) != self._files[name]]
        if differing:
            raise CobraError(
                f"the folder holds another model's {', '.join(differing)}",
                where=str(folder),
                hint="Save the processor with its own model, or into an empty folder.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        # What is there already is the same to the byte (checked above) and is not written again.
        for name in self._files.keys() - there.keys():
            with atomic_write(folder / name) as temporary:
                temporary.write_bytes(self._files[name])

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoProcessor") -> None:
        """Does nothing: the model's `save_pretrained` writes the code and the entry in `auto_map`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Returns the tokenizer."""
        return self.processor.codec.tokenizer

    def __call__(
        self,
        images: ImageInput = None,
        text: str | Sequence[str] = "",
        *,
        return_tensors: str = "pt",
        **options: Any,
    ) -> BatchFeature:
        """Returns the inputs of `generate`, in the backbone's prompt template.

        Args:
            images: As `VisionLanguageModel.generate` takes them: one image, or one entry per question.
            text: One question or several, without any template.
            return_tensors: `pt`, the only kind.
            options: `padding=True` and `add_special_tokens=True` say what happens anyway; others are refused by name.

        Returns:
            `batch`, which the model runs on, and `input_ids` `[b t]` with `attention_mask`, the prompts' text padded
            on the right; `generate` returns them with the answers behind.

        Raises:
            CobraError: Other tensors than PyTorch's are asked for, or an option that this processor does not have.
            TextError: Images and questions do not match.
        """
        if return_tensors != "pt":
            raise CobraError(f"return_tensors must be 'pt', not {return_tensors!r}")
        accepted = {"padding": True, "add_special_tokens": True, "truncation": False}
        refuse(unlike(options, accepted), "calling the processor", "The recipe says how images and text are read.")
        rows = list(prompt_rows(self.processor, images, text))
        ids = [torch.tensor(row.text.ids) for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=self.tokenizer.eos_id)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
        batch = self.processor.collate(rows, for_generation=True)
        return BatchFeature({"input_ids": padded, "attention_mask": mask, "batch": batch})

    def training_batch(self, examples: Sequence[Mapping[str, Any] | PreparedRow]) -> dict[str, Any]:
        """Returns `batch` and `labels` of examples with answers: the data collator of a `Trainer`.

        Args:
            examples: Each has `images` (as for `generate`, or absent), `text` and `answer`; or is a row that
                `processor.processor.row` prepared. Give `TrainingArguments(remove_unused_columns=False)`.

        Raises:
            CobraError: A key is missing or unknown.
        """
        batch = self.processor.collate([self._row(example) for example in examples])
        # Trainer looks for `labels` beside the batch to know that there is a loss to evaluate.
        return {"batch": batch, "labels": batch.layout.labels}

    def _row(self, example: Mapping[str, Any] | PreparedRow) -> PreparedRow:
        if isinstance(example, PreparedRow):
            return example
        if not isinstance(example, Mapping) or {"text", "answer"} - set(example):
            keys = ", ".join(map(str, example)) if isinstance(example, Mapping) else type(example).__name__
            raise CobraError(
                f"an example needs text and answer, and has {keys or 'nothing'}",
                hint="Trainer drops what forward does not take: TrainingArguments(remove_unused_columns=False).",
            )
        unknown = set(example) - {"images", "text", "answer"}
        refuse({str(name) for name in unknown}, "an example", "It has images, text and answer.")
        images = images_of(example.get("images"))
        return self.processor.row([(example["text"], example["answer"])], images)

    def decode(self, ids: Tensor | Sequence[int], skip_special_tokens: bool = True) -> str:
        """Returns the text of one row of ids `[t]`, special tokens left out."""
        if not skip_special_tokens:
            raise CobraError("decode of a cobra-kit processor leaves special tokens out", hint="processor.tokenizer")
        return self.tokenizer.decode(ids.tolist() if isinstance(ids, Tensor) else list(ids)).strip()

    def batch_decode(self, ids: Tensor | Sequence[Sequence[int]], skip_special_tokens: bool = True) -> list[str]:
        """Returns the text of each row of ids `[b t]`, special tokens left out."""
        return [self.decode(row, skip_special_tokens) for row in ids]
