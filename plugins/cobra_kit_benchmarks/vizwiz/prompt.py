"""The wording of VizWiz' questions: the model is told what to say where the image does not tell."""

from __future__ import annotations

from cobra_kit_benchmarks.common.protocol import PAPER, SHORT_ANSWER

PROMPTS = {
    PAPER: f"{{question}}\nWhen the provided information is insufficient, respond with 'Unanswerable'.\n{SHORT_ANSWER}",
    "short": f"{{question}}\n{SHORT_ANSWER}",
    "plain": "{question}",
}
