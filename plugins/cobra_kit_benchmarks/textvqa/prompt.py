"""The wording of TextVQA's questions: what a text reader saw stands first, last or not at all (paper, Table 7)."""

from __future__ import annotations

from cobra_kit_benchmarks.common.protocol import PAPER, SHORT_ANSWER

_TOKENS = "Reference OCR token: "
PROMPTS = {
    PAPER: f"{_TOKENS}{{ocr}}\n{{question}}\n{SHORT_ANSWER}",
    "ocr-last": f"{{question}}\n{_TOKENS}{{ocr}}\n{SHORT_ANSWER}",
    "no-ocr": f"{{question}}\n{SHORT_ANSWER}",
}
