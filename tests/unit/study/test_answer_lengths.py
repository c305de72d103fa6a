"""How long answers are is counted as training counts them: as the prompt template writes them, with their end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cobra_kit.data.rows import TrainingRow
from cobra_kit.forecast.measuring import _answer_tokens
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.encode import encode_conversation
from cobra_kit.text.templates import TEMPLATES, make_template
from cobra_kit.text.tokenizer import small_tokenizer


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("answer", ["", "red", "[0.12, 0.3]"])
def test_an_answer_is_as_long_as_what_carries_loss(template: Any, answer: str) -> None:
    codec = TextCodec(small_tokenizer(), make_template(template), 512)
    model: Any = SimpleNamespace(processor=SimpleNamespace(codec=codec))
    row = TrainingRow("1", (), (("Where?", answer), ("Why?", "a much longer answer than the other")), ("a", "b"))
    sample: Any = SimpleNamespace(source=SimpleNamespace(rows=[row]))
    trained = encode_conversation([("Where?", answer)], codec, num_images=0)
    assert _answer_tokens(model, sample, "a") == trained.supervised_tokens
