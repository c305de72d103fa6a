"""The wording of VSR's statements."""

from __future__ import annotations

from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.protocol import PAPER

PROMPTS = {
    PAPER: 'Based on the image, is this statement "True" or "False"? {}\nRespond with "True" or "False" directly.',
}


def word(item: Item, name: str) -> str:
    """Returns the prompt of a statement."""
    return PROMPTS[name].format(item.text)
