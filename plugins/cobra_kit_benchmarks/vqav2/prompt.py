"""The wording of VQAv2's questions."""

from __future__ import annotations

from cobra_kit_benchmarks.common.protocol import PAPER, SHORT_ANSWER

PROMPTS = {PAPER: f"{{question}}\n{SHORT_ANSWER}", "plain": "{question}"}
