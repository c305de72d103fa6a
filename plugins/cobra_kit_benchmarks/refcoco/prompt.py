"""The wording of a referring expression."""

from __future__ import annotations

from cobra_kit_benchmarks.common.protocol import PAPER

PROMPTS = {
    PAPER: 'Please provide the bounding box coordinate of the region this sentence describes: "{question}"',
    "minigpt4": "[refer] give me the location of {question}",
}
