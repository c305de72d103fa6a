"""The wording of VizWiz' questions: the model is told what to say where the image does not tell."""

from __future__ import annotations

from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.protocol import PAPER, SHORT_ANSWER

PROMPTS = {
    PAPER: f"{{}}\nWhen the provided information is insufficient, respond with 'Unanswerable'.\n{SHORT_ANSWER}",
    "short": f"{{}}\n{SHORT_ANSWER}",
    "plain": "{}",
}


def word(item: Item, name: str) -> str:
    """Returns the prompt of a question."""
    return PROMPTS[name].format(item.text)
