"""Text without weights: templates, tokenizers, and the two together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cobra_kit.errors import ArgumentError, kind_of


@dataclass(frozen=True, slots=True)
class TemplateSegment:
    """A stretch of prompt text that is tokenised as a whole.

    Args:
        text: The text; image markers are already removed.
        supervised: Whether its tokens carry loss.
        message: (start, end) of the user's message within `text`, in characters; None for an answer.
    """

    text: str
    supervised: bool
    message: tuple[int, int] | None = None


@runtime_checkable
class PromptTemplate(Protocol):
    """Turns a conversation into text. Picklable, no weights.

    It may have a method `arrange_images(question, positions)` too, which gives back a message and its images' places
    (characters) as it wants them; without it the images stay where their markers stood.
    """

    def render(self, turns: Sequence[tuple[str, str | None]], *, for_generation: bool) -> Sequence[TemplateSegment]:
        """Returns the segments of (question, answer) turns.

        What it supervises also says how an answer begins: answers that are compared by their first token go through
        it, and the token is that of the supervised text, with the blank in front if there is one.

        Args:
            turns: Messages without image markers, already stripped. With `for_generation` the last answer is None
                and the text ends where the model's answer begins.
            for_generation: Whether the last turn is to be answered.
        """
        ...

    def render_caption(self, caption: str) -> Sequence[TemplateSegment]:
        """Returns the segments of a bare caption, all supervised (the align stage, PAPER.md 1.8)."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """The contract of a tokenizer. Picklable.

    It may have a method `separates(id)` too, which says whether what stands before an id, and its own text, stay as
    they are whatever ids follow (an id that stands for one byte may not). A streamed answer comes sooner with it:
    without it, characters of a single byte wait for the next longer word.
    """

    @property
    def eos_id(self) -> int:
        """Returns the id that ends an answer."""
        ...

    @property
    def vocab_size(self) -> int:
        """Returns the number of ids the tokenizer can produce (padding of the embedding excluded)."""
        ...

    def encode(self, text: str) -> list[int]:
        """Returns the ids of `text`; special tokens written out in the text become their single id."""
        ...

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Returns the ids of `text` and, per id, its (start, end) in characters."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of `ids`, special tokens left out."""
        ...


@dataclass(frozen=True, slots=True)
class TextCodec:
    """Everything text needs, without weights: data workers and checks need no model.

    Args:
        tokenizer: Text to ids and back.
        template: The prompt template of the backbone's family.
        max_text_tokens: Longer text is cut, in tokens (visual tokens come on top).
    """

    tokenizer: Tokenizer
    template: PromptTemplate
    max_text_tokens: int

    def __post_init__(self) -> None:
        for name, contract in (("tokenizer", Tokenizer), ("template", PromptTemplate)):
            value = getattr(self, name)
            lacking = [method for method in _METHODS[name] if not hasattr(value, method)]
            if lacking:
                raise ArgumentError(
                    f"the {name} of a codec is a {contract.__name__}, and {kind_of(value)} has no {', '.join(lacking)}"
                )
        if type(self.max_text_tokens) is not int or self.max_text_tokens < 1:
            raise ArgumentError(f"max_text_tokens is a whole number of at least 1, not {self.max_text_tokens!r}")


_METHODS = {
    "tokenizer": ("eos_id", "vocab_size", "encode", "encode_with_offsets", "decode"),
    "template": ("render", "render_caption"),
}
