"""How a question becomes a prompt, and an answer a reply: the same for training rows and evaluation."""

from __future__ import annotations

from typing import Literal

Style = Literal["short", "paper"]
"""short: few tokens, for small models. paper: the prompts of Cobra's evaluation (vlm-evaluation's)."""

Benchmark = Literal["vqav2", "vsr", "pope_random", "pope_popular", "pope_adversarial", "textvqa", "refcoco"]

_SHORT_ANSWER = "Answer the question using a single word or phrase."
_PAPER_VSR = 'Based on the image, is this statement "True" or "False"? {}\nRespond with "True" or "False" directly.'
_PAPER_BOX = 'Please provide the bounding box coordinate of the region this sentence describes: "{}"'


def prompt(benchmark: Benchmark, text: str, style: Style = "short") -> str:
    """Returns the prompt for a question, statement or expression of a benchmark file."""
    if benchmark == "vsr":
        return _PAPER_VSR.format(text) if style == "paper" else f"True or false? {text}"
    if benchmark == "refcoco":
        return _PAPER_BOX.format(text) if style == "paper" else f"Where is {text}?"
    return f"{text}\n{_SHORT_ANSWER}" if style == "paper" else text


def reply(benchmark: Benchmark, answer: str) -> str:
    """Returns the answer as the model is taught to give it: "Yes", "True", letters in capitals, as drawn."""
    if benchmark == "vsr" or benchmark.startswith("pope"):
        return answer.capitalize()
    return answer.upper() if benchmark == "textvqa" else answer
