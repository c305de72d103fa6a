"""The way a benchmark is asked and scored: part of every number, since other protocols give other numbers."""

from __future__ import annotations

from dataclasses import dataclass

PAPER = "paper"
PAPER_TOKENS = 128
SHORT_ANSWER = "Answer the question using a single word or phrase."


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to ask and score a benchmark.

    Args:
        name: Its name in recipes and tables; `paper` is that of the Cobra paper.
        split: The official split that is asked.
        prompt: Name of the wording, one of those of the benchmark's `prompt.py`.
        rule: The rule that scores it.
        choices: First tokens whose probabilities are compared, the positive one first; none: the answer is generated.
        max_new_tokens: Most tokens of a generated answer; decoding is greedy.
        post_processing: What happens to an answer before it is compared, in words.
        text_rule: The rule for answers that are texts where `rule` reads probabilities.
    """

    name: str = PAPER
    split: str
    prompt: str = PAPER
    rule: str
    choices: tuple[str, ...] = ()
    max_new_tokens: int = PAPER_TOKENS
    post_processing: str
    text_rule: str | None = None


def by_name(*protocols: Protocol) -> dict[str, Protocol]:
    """Returns the protocols by their names, the default one first."""
    return {protocol.name: protocol for protocol in protocols}
