"""The wording of POPE's questions."""

from __future__ import annotations

from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.protocol import PAPER, SHORT_ANSWER

PROMPTS = {PAPER: f"{{}}\n{SHORT_ANSWER}", "plain": "{}"}


def word(item: Item, name: str) -> str:
    """Returns the prompt of a question."""
    return PROMPTS[name].format(item.text)
