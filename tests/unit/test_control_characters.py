"""Text from elsewhere, printed: it shows what it says and does nothing else."""

from __future__ import annotations

import json
import time

import pytest

from cobra_kit.formatting import escaped_json, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mlp", "mlp"),
        ("größe 大きさ ☺ e\u0301", "größe 大きさ ☺ e\u0301"),
        ("a\x1b[31mb\x1b[0m", "ab"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"),
        ("a\x1b]never closed", "anever closed"),
        ("a\x9b2Jb\x9d0;t\x9cc", "abc"),
        ("a\x1bPq#0\x1b\\b\x1b(0c\x1bcd", "abcd"),
        ("a\rb\nc\td\u2028e", "a b c d e"),
        ("a\u202eb\u2066c\u200bd\ufeffe\u00adf\U000e0041g", "abcdefg"),
        ("a\x00b\x7fc\x08d\x85e", "abcd e"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_what_a_terminal_would_obey_goes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_giant_names_are_shortened() -> None:
    assert printable("x" * 400, 20) == "x" * 19 + "…"
    assert printable("x" * 20, 20) == "x" * 20
    assert printable_lines("a" * 9 + "\n" + "b", 5) == "aaaa…\nb"


def test_line_ends_stay_where_there_are_lines() -> None:
    assert printable_lines("a\x1b[2J\r\nb\n  c\rd") == "a\nb\n  c\nd"


@pytest.mark.parametrize("text", ["\x1b]" * 100_000, "\x1b[" * 100_000, "\x1b]a" * 100_000, "\x9b0" * 100_000])
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    printable(text)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["\x9b2J", "\u202e", "\U000e0041", "\ud800", "\x7f", "\u2028", "é\n\x1b"])
def test_json_is_the_same_data_and_prints_harmlessly(text: str) -> None:
    written = escaped_json(json.dumps({"a": [text]}, ensure_ascii=False))
    assert json.loads(written) == {"a": [text]}
    assert printable(written) == written
