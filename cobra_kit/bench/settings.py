"""The settings of a bench, checked before anything is built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from cobra_kit.errors import CobraError
from cobra_kit.formatting import suggest
from cobra_kit.model.decoding import GraphUse

GENERAL, COBRA = "general", "cobra"
PROTOCOLS = (GENERAL, COBRA)
"""`cobra` is the paper's: one image, one prompt, exactly 256 tokens. `general` varies what a time depends on."""

RANDOM, OF_RECIPE = "random", "recipe"
WEIGHTS = (RANDOM, OF_RECIPE)
"""Where weights come from: drawn, or what the recipe's components name. Time does not depend on their values."""

PAPER_QUESTION = "Describe the image specifically"
PAPER_TOKENS = 256
"""The prompt and the number of tokens of arXiv 2403.14520v4, section 4.3."""

OWN_IMAGE = "recipe"
"""The image goes through the recipe's own encoder and projector."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The sizes, devices and repeats of a bench.

    Args:
        protocol: One of `PROTOCOLS`.
        weights: One of `WEIGHTS`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        dtypes: Names of floating-point types of the weights.
        batch: Rows that are decoded together.
        prompt_tokens: Text tokens of a prompt.
        image_tokens: Visual tokens of a prompt: a number, 0 for none, or None for the recipe's own image, encoded
            and projected. Given a number, random ones stand behind the projector, and encoder and projector rest.
        new_tokens: Tokens that are decoded after a prompt.
        repeats: Rounds that are measured.
        warmup: Rounds before them that do not count.
        graphs: Whether steps run as a captured CUDA graph.
        memory: Whether the peak memory on a CPU is measured, which takes a process of its own per model.

    Raises:
        CobraError: A value is out of range; it names the option.
    """

    protocol: str = GENERAL
    weights: str = RANDOM
    device: str = "auto"
    dtypes: tuple[str, ...] = ("float32",)
    batch: tuple[int, ...] = (1,)
    prompt_tokens: tuple[int, ...] = (64, 256, 1024)
    image_tokens: tuple[int | None, ...] = (None,)
    new_tokens: int = 32
    repeats: int = 5
    warmup: int = 2
    graphs: GraphUse = "auto"
    memory: bool = True

    def __post_init__(self) -> None:
        """Checks the ranges."""
        _one_of(self.protocol, PROTOCOLS, "--protocol", "protocol")
        _one_of(self.weights, WEIGHTS, "--weights", "weights")
        _one_of(self.graphs, get_args(GraphUse), "--graphs", "use of graphs")
        _at_least(1, self.batch, "--batch", "A batch has at least one row.")
        _at_least(1, self.prompt_tokens, "--prompt-tokens", "A prompt has at least one token.")
        images = [count for count in self.image_tokens if count is not None]
        _at_least(0, images, "--image-tokens", "0 leaves the picture out.", empty=True)
        if not self.image_tokens:
            raise CobraError("nothing is given", where="--image-tokens", hint="Numbers, or 'recipe'.")
        # The first token comes out of the prefill: a rate of decoding needs one more.
        _at_least(2, (self.new_tokens,), "--new-tokens", "The first comes with the prompt; a rate needs one more.")
        _at_least(1, (self.repeats,), "--repeats", "Something has to be measured.")
        _at_least(0, (self.warmup,), "--warmup", "0 counts the slow first round too.")
        tokens = max(self.batch) * (max(self.prompt_tokens) + max(images, default=0))
        if tokens > _MOST_AT_ONCE:
            raise CobraError(
                f"{max(self.batch)} rows of that many tokens are {tokens:,} at once",
                where="--batch",
                hint="Take fewer.",
            )
        if not self.dtypes:
            raise CobraError("nothing is given", where="--dtype", hint="For example float32,bfloat16.")


_NUMBER = re.compile(r"-?[0-9]{1,18}")
_MOST = 10**6
"""Of rows, tokens and rounds: more is a slip of the keyboard."""
_MOST_AT_ONCE = 10**8
"""Tokens of a whole batch: their numbers alone, on the host, take gigabytes beyond."""


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Returns the whole numbers of `64,256,1024`, each once.

    Raises:
        CobraError: Something else stands there.
    """
    words = dict.fromkeys(word.strip() for word in text.split(","))
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise CobraError(f"{word!r} is no whole number", where=option, hint="For example 64,256,1024.")
    return tuple(dict.fromkeys(int(word) for word in words))


def image_numbers(text: str) -> tuple[int | None, ...]:
    """Returns the numbers of `recipe,0,729`, None for the recipe's own image.

    Raises:
        CobraError: Something else stands there.
    """
    words = [word.strip() for word in text.split(",")]
    counts = (None if word == OWN_IMAGE else numbers(word, "--image-tokens")[0] for word in words)
    return tuple(dict.fromkeys(counts))


def _one_of(value: str, known: Sequence[str], option: str, what: str) -> None:
    if value not in known:
        raise CobraError(f"no {what} named {value!r}", where=option, hint=suggest(value, known, what="known"))


def _at_least(least: int, values: Sequence[int], option: str, hint: str, *, empty: bool = False) -> None:
    if not values and not empty:
        raise CobraError("nothing is given", where=option, hint="For example 1,4.")
    for value in values:
        if value < least:
            raise CobraError(f"{value} is too few, it must be at least {least}", where=option, hint=hint)
        if value > _MOST:
            raise CobraError(f"{value} is too many, it must be at most {_MOST}", where=option)
