"""The wording of a referring expression."""

from __future__ import annotations

from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.protocol import PAPER

PROMPTS = {
    PAPER: 'Please provide the bounding box coordinate of the region this sentence describes: "{}"',
    "minigpt4": "[refer] give me the location of {}",
}


def word(item: Item, name: str) -> str:
    """Returns the prompt of an expression."""
    return PROMPTS[name].format(item.text)
