"""The prompt made of a question, and the reply made of an answer: the same for training rows and evaluation."""

from __future__ import annotations

from typing import Literal, NamedTuple

Style = Literal["short", "paper"]
"""short: few tokens, for small models. paper: the prompts of Cobra's evaluation (vlm-evaluation's)."""

Benchmark = Literal["vqav2", "vsr", "pope_random", "pope_popular", "pope_adversarial", "textvqa", "refcoco"]


class BenchmarkPrompt(NamedTuple):
    """The wording of one benchmark's prompts, per style; `{}` stands for the question, statement or expression."""

    short: str
    paper: str


_QUESTION = BenchmarkPrompt("{}", "{}\nAnswer the question using a single word or phrase.")
VQAV2_PROMPT = POPE_PROMPT = TEXTVQA_PROMPT = _QUESTION
VSR_PROMPT = BenchmarkPrompt(
    "True or false? {}",
    'Based on the image, is this statement "True" or "False"? {}\nRespond with "True" or "False" directly.',
)
REFCOCO_PROMPT = BenchmarkPrompt(
    "Where is {}?", 'Please provide the bounding box coordinate of the region this sentence describes: "{}"'
)

PROMPTS: dict[Benchmark, BenchmarkPrompt] = {
    "vqav2": VQAV2_PROMPT,
    "vsr": VSR_PROMPT,
    "pope_random": POPE_PROMPT,
    "pope_popular": POPE_PROMPT,
    "pope_adversarial": POPE_PROMPT,
    "textvqa": TEXTVQA_PROMPT,
    "refcoco": REFCOCO_PROMPT,
}


def prompt(benchmark: Benchmark, text: str, style: Style = "short") -> str:
    """Returns the prompt for a question, statement or expression of a benchmark file."""
    template = PROMPTS[benchmark].paper if style == "paper" else PROMPTS[benchmark].short
    return template.format(text)


def reply(benchmark: Benchmark, answer: str) -> str:
    """Returns the answer as the model is taught to give it: "Yes", "True", letters in capitals, as drawn."""
    if benchmark == "vsr" or benchmark.startswith("pope"):
        return answer.capitalize()
    return answer.upper() if benchmark == "textvqa" else answer
