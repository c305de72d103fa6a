r"""The prompt templates of Cobra (PAPER.md 1.8; arXiv 2403.14520, 7.1), torch-free.

| template | first turn | later turns |
|---|---|---|
| chat | `<\|user\|>\n{Q}<\|endoftext\|>\n<\|assistant\|>\n` + `{A}<\|endoftext\|>` | the same after `\n` |
| base | `In: {Q}\nOut: ` + `{A}<\|endoftext\|>` | the same after `\n` |

A turn is two segments, tokenised one by one as upstream does: what the user's side says, up to where the answer
begins, and the supervised answer with its end of text. There is no system prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cobra_kit.errors import TextError
from cobra_kit.text.tokenizer import END_OF_TEXT

if TYPE_CHECKING:  # interfaces imports torch
    from cobra_kit.interfaces import TemplateSegment

Turns = Sequence[tuple[str, str | None]]
"""(question, answer) pairs; the last answer is None where it is to be generated."""


@dataclass(frozen=True)
class _TurnTemplate:
    """What the two templates share: each turn is `before + question + after`, then `answer + end_of_text`."""

    before: ClassVar[str]
    after: ClassVar[str]

    def render(self, turns: Turns, *, for_generation: bool) -> tuple[TemplateSegment, ...]:
        """Returns the segments of a conversation; see `cobra_kit.interfaces.PromptTemplate`.

        Messages are stripped; an empty answer becomes a single space, as upstream.

        Raises:
            TextError: There is no turn, an answer is missing, or the answer to be generated is already there.
        """
        from cobra_kit.interfaces import TemplateSegment

        check_answers(turns, for_generation=for_generation)
        segments = []
        for number, (question, answer) in enumerate(turns):
            message = question.strip()
            before = ("\n" if number else "") + self.before
            span = (len(before), len(before) + len(message))
            segments.append(TemplateSegment(f"{before}{message}{self.after}", supervised=False, message=span))
            if answer is not None:
                segments.append(TemplateSegment(f"{answer.strip() or ' '}{END_OF_TEXT}", supervised=True))
        return tuple(segments)

    def render_caption(self, caption: str) -> tuple[TemplateSegment, ...]:
        """Returns the stripped caption and its end of text, all supervised: the align stage has no prompt."""
        from cobra_kit.interfaces import TemplateSegment

        return (TemplateSegment(f"{caption.strip()}{END_OF_TEXT}", supervised=True),)


@dataclass(frozen=True)
class ChatTemplate(_TurnTemplate):
    """The template of instruction-tuned backbones (Zephyr's form). The prompt ends with `<|assistant|>` and a newline.

    Upstream kept that last newline only from commit 97f91e1 (23 May 2024) on; older checkpoints expect none.
    """

    before: ClassVar[str] = "<|user|>\n"
    after: ClassVar[str] = f"{END_OF_TEXT}\n<|assistant|>\n"


@dataclass(frozen=True)
class BaseTemplate(_TurnTemplate):
    """The template of base backbones. The prompt ends with `Out:` and a blank."""

    before: ClassVar[str] = "In: "
    after: ClassVar[str] = "\nOut: "


def check_answers(turns: Turns, *, for_generation: bool) -> None:
    """Checks that every turn has its answer, the last one none if it is to be generated.

    Raises:
        TextError: Naming the turn, counted from 1.
    """
    if not turns:
        raise TextError("the conversation has no turns", hint="Give at least one question.")
    for number, (_, answer) in enumerate(turns, start=1):
        wants_answer = not (for_generation and number == len(turns))
        if wants_answer and answer is None:
            raise TextError(
                f"turn {number} of {len(turns)} has no answer",
                hint="Only the last turn may lack one, and only when its answer is to be generated.",
            )
        if not wants_answer and answer is not None:
            raise TextError(
                f"the last turn already has the answer {answer!r}, but it is to be generated",
                hint="Pass None as the answer of the last turn.",
            )
