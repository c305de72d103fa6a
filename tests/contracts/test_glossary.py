"""The glossary says where each word lives, and it is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| `([^`]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("word", "meaning", "place"), ROWS, ids=[word for word, _, _ in ROWS])
def test_each_word_has_one_sentence_and_a_place(word: str, meaning: str, place: str) -> None:
    assert (ROOT / "cobra_kit" / place).exists()
    assert meaning[0].isupper()
    assert meaning.endswith(".")
    assert ". " not in meaning


def test_no_word_stands_twice_and_the_pages_are_linked() -> None:
    words = [word for word, _, _ in ROWS]
    assert len(words) == len(set(words)) > 30
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "docs/glossary.md" in readme
    assert "docs/architecture.md" in readme
