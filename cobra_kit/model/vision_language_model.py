"""The composed model: four parts as one module that answers questions, with a way to disk and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import torch
from torch import Tensor

from cobra_kit._plugins import attributed, call_component
from cobra_kit.arguments import file_path, text, texts, whole_number
from cobra_kit.errors import ArgumentError
from cobra_kit.interfaces import Backbone, Component, FusionScheme, Projector, TokenShape, VisionEncoder
from cobra_kit.model import checkpoint
from cobra_kit.model.building import processor_of
from cobra_kit.model.decoding import (
    MOST_NEW_TOKENS,
    DecodeSettings,
    Sampling,
    evaluating,
    first_token_probabilities,
    generate_ids,
)
from cobra_kit.model.decoding.streaming import stream_text
from cobra_kit.model.multimodal_module import Composition, MultimodalModule
from cobra_kit.model.prompts import ImageInput, prompt_batches
from cobra_kit.model.returned import expect
from cobra_kit.model.summary import render_summary, summarise
from cobra_kit.text.choices import first_answer_ids

if TYPE_CHECKING:
    from cobra_kit._plugins import Component as RegisteredComponent
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import ResolvedRecipe


class VisionLanguageModel(MultimodalModule):
    """Vision encoder, projector, fusion scheme and backbone as one module.

    Calling it with a `Batch` returns the loss; `generate` answers questions. Made by `cobra_kit.compose`. Arguments and
    attributes are those of `MultimodalModule`.
    """

    @classmethod
    def of_parts(cls, recipe: ResolvedRecipe, modules: Mapping[Kind, Component]) -> Self:
        """Returns the model of the parts that were built for a recipe."""
        return cls(
            cast("VisionEncoder", modules["vision_encoder"]),
            cast("Projector", modules["projector"]),
            cast("FusionScheme", modules["fusion"]),
            cast("Backbone", modules["backbone"]),
            Composition(
                partial(processor_of, recipe),
                {kind: part.component.qualified for kind, part in recipe.parts.items()},
                recipe,
            ),
        )

    def generate(
        self,
        images: ImageInput = None,
        questions: str | Sequence[str] = "",
        *,
        max_new_tokens: int = 64,
        batch_size: int = 16,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> str | list[str]:
        """Returns the answer to each question.

        Args:
            images: An image (PIL, a path, or the bytes of a file), several images of one question, or None. With a
                list of questions: one entry of that kind per question, or one image for all of them.
            questions: One question, or a list of them. `<image>` marks a place in the text where the fusion scheme
                looks at markers.
            max_new_tokens: Most tokens per answer.
            batch_size: Questions decoded together.
            temperature: 0: the most probable token every time; above: tokens are drawn, more freely the higher.
            top_p: Draw among the most probable tokens that together reach this probability.
            seed: Seed of the draws; a question's depend on its place in the list too, and not on `batch_size`.

        Returns:
            A string for one question, a list for a list; an empty one for an empty one.

        Raises:
            ArgumentError: An argument is of a wrong kind or out of range.
            TextError: Images and questions do not match.
            ImageError: An image cannot be read.
            CobraError: The model's logits are not numbers.
        """
        sampling = Sampling(temperature, top_p, seed)
        max_new_tokens = whole_number(max_new_tokens, "max_new_tokens", at_least=1, at_most=MOST_NEW_TOKENS)
        eos = self.processor.codec.tokenizer.eos_id
        answers: list[str] = []
        with attributed(self._components()), evaluating(self):
            for batch in prompt_batches(self.processor, images, questions, batch_size):
                numbers = range(len(answers), len(answers) + batch.num_rows)
                settings = DecodeSettings(max_new_tokens, [eos], sampling, rows=numbers)
                rows = generate_ids(self, batch.to(self.device), settings)
                answers += [self._text_of(ids).strip() for ids in rows]
        return answers[0] if isinstance(questions, str) else answers

    def stream(
        self,
        images: ImageInput = None,
        question: str = "",
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yields the answer to one question in pieces, as they come; joined they are what `generate` returns.

        A piece never ends inside a character. Between two pieces, and when the stream is dropped, the model is in the
        mode it was in before.

        Args:
            images: As for `generate` with one question.
            question: The question to answer.
            max_new_tokens: Most tokens of the answer.
            temperature: As for `generate`.
            top_p: As for `generate`.
            seed: As for `generate`.

        Raises:
            CobraError: As for `generate`; images are read when the first piece is asked for.
        """
        # Arguments are checked here and not in the generator, which would do it at the first piece.
        sampling = Sampling(temperature, top_p, seed)
        whole_number(max_new_tokens, "max_new_tokens", at_least=1, at_most=MOST_NEW_TOKENS)
        return self._pieces(images, text(question, "question"), max_new_tokens, sampling)

    def _pieces(self, images: ImageInput, question: str, max_new_tokens: int, sampling: Sampling) -> Iterator[str]:
        (batch,) = prompt_batches(self.processor, images, question, 1)
        pieces = stream_text(self, batch.to(self.device), max_new_tokens=max_new_tokens, sampling=sampling)
        while True:
            # Entered per piece: between two of them the caller may train, or drop the stream.
            with attributed(self._components()), evaluating(self):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def answer_probabilities(
        self,
        images: ImageInput,
        questions: str | Sequence[str],
        answers: Sequence[str],
        *,
        batch_size: int = 16,
    ) -> Tensor:
        """Returns `[questions answers]`: how likely each answer is to come first (one row for one question).

        Args:
            images: As for `generate`.
            questions: As for `generate`.
            answers: Answers of one token each, such as `["Yes", "No"]`, as the prompt template writes them.
            batch_size: Questions scored together.

        Raises:
            ArgumentError: An argument is of a wrong kind.
            TextError: An answer is not one token, or two are the same.
        """
        answers = texts(answers, "answers", example='["Yes", "No"]')
        first_answer_ids(answers, self.processor.codec)
        with attributed(self._components()), evaluating(self):
            rows = [
                first_token_probabilities(self, batch.to(self.device), answers)
                for batch in prompt_batches(self.processor, images, questions, batch_size)
            ]
        return torch.cat(rows) if rows else torch.empty(0, len(answers), device=self.device)

    def image_tokens(self) -> TokenShape:
        """Returns the tokens of one image of the largest size, after the projector."""
        parts = self._require_recipe().parts
        seen, projected = parts["vision_encoder"], parts["projector"]
        encoder = cast("type[VisionEncoder]", seen.component.load_class())
        projector = cast("type[Projector]", projected.component.load_class())
        largest = call_component(seen.component, encoder.max_shape, seen.config)
        return call_component(projected.component, projector.output_shape, projected.config, largest)

    def summary(self) -> str:
        """Returns a printout of the parts: component, frozen or trainable, parameters."""
        return render_summary(summarise(self))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes recipe, lock and weights to a folder that `from_pretrained` opens.

        Raises:
            CobraError: The model was built by hand.
            WeightsError: A part was replaced or wrapped since it was composed, or the folder cannot be written.
        """
        checkpoint.save_pretrained(self, self._require_recipe(), file_path(folder, "folder"))

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> Self:
        """Returns the model that `save_pretrained` wrote.

        Raises:
            WeightsError: A file is missing or damaged, or the weights do not fit.
            PluginError: A component is not installed.
        """
        return checkpoint.from_pretrained(file_path(folder, "folder"), cls.of_parts, device=device, dtype=dtype)

    def _text_of(self, ids: Sequence[int]) -> str:
        decode = self.processor.codec.tokenizer.decode
        component = self.component("backbone")
        title = "the tokenizer" if component is None else component.title
        return expect(call_component(component, decode, ids), str, decode, title)

    def _components(self) -> list[RegisteredComponent]:
        return [] if self.recipe is None else [part.component for part in self.recipe.parts.values()]

    def _require_recipe(self) -> ResolvedRecipe:
        if self.recipe is None:
            raise ArgumentError(
                "this model was built from parts by hand and has no recipe; make it with cobra_kit.compose"
            )
        return self.recipe
