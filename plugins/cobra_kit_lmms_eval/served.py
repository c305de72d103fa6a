"""A model of cobra-kit as lmms-eval calls it. Needs lmms-eval and torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from lmms_eval.api.model import lmms

import cobra_kit
from cobra_kit.errors import CobraError
from cobra_kit_lmms_eval.requests import Decoding, decoding_of, images_of

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

_Visible = tuple[str, Sequence[Any]]
"""A text and the images beside it."""


class ServedModel(lmms):  # type: ignore[misc]  # lmms-eval has no types
    """A trained model behind lmms-eval's interface of texts with images beside them.

    `--model cobra_kit --model_args pretrained=studies/ablation_projector-laptop/runs/mlp-s7`

    Args:
        pretrained: A run's folder, or one of `save_pretrained` or `cobra-kit export --format huggingface`.
        device: `cpu`, `cuda`, `cuda:1`; `auto`: a GPU where torch sees one.
        dtype: Floating-point type of the weights, such as `bfloat16`; None: as they were saved.
        batch_size: Questions answered together.
        max_batch_size: Not read: lmms-eval hands it to every model.
        max_new_tokens: Most tokens of an answer, where a task does not say.
        unknown: Further arguments; none are known.

    Raises:
        CobraError: The folder holds no model, or an argument is unknown.
    """

    is_simple = True

    def __init__(
        self,
        pretrained: str = "",
        device: str = "auto",
        dtype: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        max_new_tokens: int = 128,
        **unknown: Any,
    ) -> None:
        super().__init__()
        if unknown or not pretrained:
            wrong = f"unknown: {', '.join(unknown)}" if unknown else "no `pretrained`"
            raise CobraError(
                f"lmms-eval's --model_args: {wrong}",
                hint="pretrained=FOLDER, and at will device, dtype, batch_size, max_new_tokens",
            )
        if (processes := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
            raise CobraError(
                f"lmms-eval was started with {processes} processes, and models here are served by one",
                hint="Start lmms-eval without accelerate launch or torchrun.",
            )
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = None if dtype is None else getattr(torch, str(dtype), None)
        if dtype is not None and not isinstance(kind, torch.dtype):
            raise CobraError(f"lmms-eval's --model_args: no dtype {dtype!r}", hint="float32 or bfloat16")
        self.batch_size, self.max_new_tokens = _batch_size(batch_size), int(max_new_tokens)
        self.model = cobra_kit.load(pretrained, device=device, dtype=kind)

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Returns the answer to each request, in their order.

        Raises:
            CobraError: A request asks for what models here cannot do: videos, beams.
        """
        groups: dict[Decoding, list[int]] = {}
        for place, request in enumerate(requests):
            context, arguments, _, _, task, _ = request.args
            groups.setdefault(decoding_of(arguments, self.max_new_tokens, task), []).append(place)
        answers: dict[int, str] = {}
        for decoding, places in groups.items():
            for start in range(0, len(places), self.batch_size):
                some = places[start : start + self.batch_size]
                texts = self._answers([self._visible(requests[place], 2) for place in some], decoding)
                for place, text in zip(some, texts, strict=True):
                    context, arguments, *_ = requests[place].args
                    self.cache_hook.add_partial("generate_until", (context, arguments), text)
                    answers[place] = text
        return [answers[place] for place in range(len(requests))]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Returns per request the loss of its continuation as the answer, and whether it is the greedy one.

        The loss is the mean negative log-likelihood per token, as lmms-eval's own models return it and its
        `multiple_choice` tasks read it (they take the smallest), whatever the name says. The token that ends an answer
        does not count, since lmms-eval asks about the continuation alone.
        """
        results: list[tuple[float, bool]] = []
        for request in requests:
            context, images = self._visible(request, 2)
            continuation = request.args[1]
            if callable(continuation):  # of output_type loglikelihood: what makes it of the document
                continuation = continuation(self._document(request))
            result = self._loss(context, str(continuation).strip(), images)
            self.cache_hook.add_partial("loglikelihood", (context, continuation), result)
            results.append(result)
        return results

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Refuses tasks that ask again with an answer.

        Raises:
            CobraError: In every case.
        """
        raise CobraError(
            "tasks of several rounds are not served: models here are asked one question at a time",
            where=f"lmms-eval task {requests[0].task_name}" if requests else None,
            hint="Choose a task whose output_type is generate_until, multiple_choice or loglikelihood.",
        )

    def _document(self, request: Instance) -> Any:
        *_, number, task, split = request.args
        return self.task_dict[task][split][number]

    def _visible(self, request: Instance, place: int) -> _Visible:
        """Returns the text of a request and its images, which the function at a place of its arguments finds."""
        context = request.args[0]
        if len(request.args) <= place:  # a continuation without its document: how likely it is by itself
            return context, []
        task = request.args[-2]
        return context, images_of(request.args[place](self._document(request)), task)

    def _answers(self, asked: Sequence[_Visible], decoding: Decoding) -> list[str]:
        texts = self.model.generate(
            [list(images) or None for _, images in asked],
            [context for context, _ in asked],
            max_new_tokens=decoding.max_new_tokens,
            batch_size=self.batch_size,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
        )
        return [decoding.cut(text) for text in texts]

    @torch.no_grad()
    def _loss(self, context: str, continuation: str, images: Sequence[Any]) -> tuple[float, bool]:
        processor = self.model.processor
        opened = [image if hasattr(image, "convert") else _opened(image) for image in images]
        batch = processor.collate([processor.row([(context, continuation)], opened)]).to(self.model.device)
        predicting = self.model.hidden_states(batch).flatten(0, 1)[batch.target_positions]
        chances = self.model.logits(predicting).float().log_softmax(-1)
        targets = batch.targets
        if len(targets) and int(targets[-1]) == processor.codec.tokenizer.eos_id:
            chances, targets = chances[:-1], targets[:-1]
        greedy = bool((chances.argmax(-1) == targets).all())
        return float(-chances.gather(1, targets[:, None]).mean()), greedy


def _batch_size(value: int | str) -> int:
    if str(value).isdigit() and int(value) > 0:
        return int(value)
    raise CobraError(f"lmms-eval's batch_size is {value!r}, expected a number of 1 or more", hint="--batch_size 16")


def _opened(path: Any) -> Any:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")
