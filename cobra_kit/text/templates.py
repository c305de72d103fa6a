r"""The prompt templates of Cobra and of the systems it is compared with, torch-free.

| template | first turn | later turns |
|---|---|---|
| chat | `<\|user\|>\n{Q}<\|endoftext\|>\n<\|assistant\|>\n` + `{A}<\|endoftext\|>` | the same after `\n` |
| base | `In: {Q}\nOut: ` + `{A}<\|endoftext\|>` | the same after `\n` |
| vicuna-v1, mobilevlm-v2 | `<s>{system} USER: {Q} ASSISTANT:` + ` {A}</s>` | `USER: {Q} ASSISTANT:` + ` {A}</s>` |
| llava-phi, tinyllava-phi | `{system} USER: {Q} ASSISTANT:` + ` {A}<\|endoftext\|>` | `USER: ..` |

A turn is two segments, tokenised one by one: what the user's side says, up to where the answer begins, and the
supervised answer with its end of text. `TEMPLATES` says where each form comes from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cobra_kit.arguments import text
from cobra_kit.errors import TextError, kind_of
from cobra_kit.text.names import TemplateName
from cobra_kit.text.tokenizer import END_OF_TEXT

if TYPE_CHECKING:  # interfaces imports torch
    from cobra_kit.interfaces import TemplateSegment

Turns = Sequence[tuple[str, str | None]]
"""(question, answer) pairs; the last answer is None where it is to be generated."""


@dataclass(frozen=True)
class TurnTemplate(ABC):
    """The base of all templates: each turn is `opening + question + closing`, then `answer + end of text`.

    Args:
        begin_of_text: What stands before everything, such as LLaMA's `<s>`; the tokenizer adds nothing by itself.
        end_of_text: What ends an answer: the text of the tokenizer's special token.
    """

    begin_of_text: str = ""
    end_of_text: str = END_OF_TEXT

    @abstractmethod
    def opening(self, number: int) -> str:
        """Returns what stands before the question of turn `number`, counted from 0."""

    @property
    @abstractmethod
    def closing(self) -> str:
        """Returns what stands between a question and its answer."""

    def render(self, turns: Turns, *, for_generation: bool) -> tuple[TemplateSegment, ...]:
        """Returns the segments of a conversation; see `cobra_kit.interfaces.PromptTemplate`. Messages are stripped.

        Raises:
            TextError: There is no turn, an answer is missing, or the answer to be generated is already there.
        """
        from cobra_kit.interfaces import TemplateSegment

        check_turns(turns)
        check_answers(turns, for_generation=for_generation)
        segments = []
        for number, (question, answer) in enumerate(turns):
            message = self.message(question)
            before = self.opening(number) if number else self.begin_of_text + self.opening(0)
            span = (len(before), len(before) + len(message))
            segments.append(TemplateSegment(f"{before}{message}{self.closing}", supervised=False, message=span))
            if answer is not None:
                segments.append(TemplateSegment(f"{self.answer(answer)}{self.end_of_text}", supervised=True))
        return tuple(segments)

    def message(self, question: str) -> str:
        """Returns a question as it stands in the text."""
        return question.strip()

    def answer(self, answer: str) -> str:
        """Returns an answer as it stands in the text; an empty one becomes a single space, as in Cobra's code."""
        return answer.strip() or " "

    def render_caption(self, caption: str) -> tuple[TemplateSegment, ...]:
        """Returns the stripped caption and its end of text, all supervised: the align stage has no prompt."""
        from cobra_kit.interfaces import TemplateSegment

        return (TemplateSegment(f"{text(caption, 'caption').strip()}{self.end_of_text}", supervised=True),)


@dataclass(frozen=True)
class ChatTemplate(TurnTemplate):
    """The template of instruction-tuned backbones (Zephyr's form). The prompt ends with `<|assistant|>` and a newline.

    Upstream kept that last newline only from commit 97f91e1 (23 May 2024) on; older checkpoints expect none.
    """

    def opening(self, number: int) -> str:
        """Returns the user's mark, on a line of its own."""
        return "\n<|user|>\n" if number else "<|user|>\n"

    @property
    def closing(self) -> str:
        """Returns the end of the message and the assistant's mark."""
        return f"{self.end_of_text}\n<|assistant|>\n"


@dataclass(frozen=True)
class BaseTemplate(TurnTemplate):
    """The template of base backbones. The prompt ends with `Out:` and a blank."""

    def opening(self, number: int) -> str:
        """Returns `In:` at the start of a line."""
        return "\nIn: " if number else "In: "

    @property
    def closing(self) -> str:
        """Returns `Out:` on the next line."""
        return "\nOut: "


@dataclass(frozen=True)
class LlavaTemplate(TurnTemplate):
    """The template of LLaVA-1.5 and of those that took it over. The prompt ends with `ASSISTANT:` and no blank.

    The images of a message stand before all of its text, on a line of their own. A caption of the align stage ends
    with a newline and not with the end of text.

    Args:
        blank: Stands before an answer; empty for a tokenizer that puts a blank before every text by itself (LLaMA's).
    """

    blank: str = " "

    system: ClassVar[str] = (
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions."
    )
    line_break: ClassVar[str] = "\n"

    def opening(self, number: int) -> str:
        """Returns the user's mark; before the first one the system's text."""
        return "USER: " if number else f"{self.system} USER: "

    @property
    def closing(self) -> str:
        """Returns the assistant's mark."""
        return " ASSISTANT:"

    def arrange_images(self, question: str, positions: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        """Returns the question and its images' places with all images moved to the front, a newline after them.

        Args:
            question: A stripped message without markers.
            positions: The character before which each image stood; empty where the message has none.
        """
        return (self.line_break + question, (0,) * len(positions)) if positions else (question, positions)

    def message(self, question: str) -> str:
        """Returns the stripped question, behind the newline that `arrange_images` gave it."""
        return (self.line_break if question.startswith(self.line_break) else "") + question.strip()

    def answer(self, answer: str) -> str:
        """Returns the answer behind a blank; of an empty one the blank alone.

        Upstream writes neither blank nor end of text there, so that the next turn would run on.
        """
        return self.blank + answer.strip()

    def render_caption(self, caption: str) -> tuple[TemplateSegment, ...]:
        """Returns the stripped caption and a newline, all supervised."""
        from cobra_kit.interfaces import TemplateSegment

        return (TemplateSegment(text(caption, "caption").strip() + self.line_break, supervised=True),)


@dataclass(frozen=True, slots=True)
class TemplateFamily:
    """A prompt form that a config can name: its class, and where its facts are from."""

    template: type[TurnTemplate]
    source: str


_COBRA = "h-zhao1997/cobra at 4b81082, cobra/models/backbones/llm/prompting (PAPER.md 1.8)"

TEMPLATES: dict[TemplateName, TemplateFamily] = {
    "chat": TemplateFamily(ChatTemplate, _COBRA),
    "base": TemplateFamily(BaseTemplate, _COBRA),
    "vicuna-v1": TemplateFamily(
        LlavaTemplate,
        "haotian-liu/LLaVA at 053c284, llava/conversation.py (conv_vicuna_v1); "
        "at 0034661, llava/train/train.py (preprocess_multimodal, preprocess_plain)",
    ),
    "mobilevlm-v2": TemplateFamily(
        LlavaTemplate, "Meituan-AutoML/MobileVLM at 5d53a99, mobilevlm/conversation.py (conv_vicuna_v1), run.sh: v1"
    ),
    "llava-phi": TemplateFamily(
        LlavaTemplate, "zhuyiche/llava-phi at 0fccdb8, llava_phi/conversation.py (conv_phi_v0)"
    ),
    "tinyllava-phi": TemplateFamily(
        LlavaTemplate,
        "TinyLLaVA/TinyLLaVA_Factory (then TinyLLaVABench) at 8a70e23, tinyllava/conversation.py (conv_phi_v0)",
    ),
}


def make_template(
    name: TemplateName, *, begin_of_text: str = "", end_of_text: str = END_OF_TEXT, writes_blanks: bool = False
) -> TurnTemplate:
    """Returns the template of a name, for a tokenizer.

    Args:
        name: A key of `TEMPLATES`.
        begin_of_text: What the model expects before everything; empty for most.
        end_of_text: The text of the tokenizer's special token that ends an answer.
        writes_blanks: Whether the tokenizer puts a blank before every text by itself.

    Raises:
        TextError: There is no such template.
    """
    if not isinstance(name, str) or name not in TEMPLATES:
        raise TextError(f"no template named {name!r}", hint=f"Templates: {', '.join(TEMPLATES)}.")
    family = TEMPLATES[name].template
    if issubclass(family, LlavaTemplate):
        return family(begin_of_text, end_of_text, "" if writes_blanks else " ")
    return family(begin_of_text, end_of_text)


def check_turns(turns: object, where: str | None = None) -> None:
    """Checks that turns are pairs of texts: a text alone would be taken apart letter by letter.

    Args:
        turns: What the caller gave.
        where: Which row it is, for errors.

    Raises:
        TextError: Naming the turn, counted from 1.
    """
    hint = "For example [('What is this?', 'a red square')]; an answer to be generated is None."
    if not isinstance(turns, list | tuple):
        raise TextError(f"turns are a list of (question, answer) pairs, not {kind_of(turns)}", where=where, hint=hint)
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, list | tuple) or len(turn) != 2:
            size = f" of {len(turn)}" if isinstance(turn, list | tuple) else ""
            raise TextError(
                f"turn {number} must be a pair (question, answer), not {kind_of(turn)}{size}", where=where, hint=hint
            )
        question, answer = turn
        if not isinstance(question, str):
            raise TextError(f"the question of turn {number} must be a text, not {kind_of(question)}", where=where)
        if not isinstance(answer, str | None):
            raise TextError(
                f"the answer of turn {number} must be a text, not {kind_of(answer)}", where=where, hint=hint
            )


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
