"""Lists fold to the terminal: nothing is cut, and only a word that is longer than a line makes a longer one."""

from __future__ import annotations

import pytest

from cobra_kit import columns
from cobra_kit.cli.entry import main

COMMANDS = (
    ["plugins", "list"],
    ["plugins", "show", "mlp/fused"],
    ["recipes", "list"],
    ["recipes", "diff", "cobra_3b", "cobra_8b"],
)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_line_fits_where_words_allow_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = printed(capsys, *arguments)
    assert not [line for line in lines if len(line) > width and max(map(len, line.split())) <= width - 20]
    assert "…" not in "".join(lines)
    whole = {word for line in lines for word in line.split()}
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setenv("TERM", "xterm")
    assert {word for line in printed(capsys, *arguments) for word in line.split()} <= whole


@pytest.mark.parametrize("arguments", [["plugins", "list"], ["recipes", "list"]], ids=" ".join)
def test_a_dumb_terminal_is_eighty_columns_wide_and_a_pipe_has_a_line_per_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert max(map(len, printed(capsys, *arguments))) <= 80
    monkeypatch.setenv("TERM", "xterm")
    assert any(len(line) > 80 for line in printed(capsys, *arguments))


def test_a_row_is_folded_stacked_or_cut() -> None:
    table = [("name", "what it is"), ("one", "a long description of it")]
    folded = ["  name  what it is", "  one   a long", "        description of", "        it"]
    assert columns.rows(table, flexible=1, limit=24) == folded
    assert columns.blocks(table, flexible=1, limit=16, header=True)[1][:2] == ["  one", "      what it is"]
    narrow = [("a-rather-long-name", "what"), ("another-long-name", "a long description of it")]
    assert columns.rows(narrow, flexible=1, limit=24)[:3] == [
        "  a-rather-long-name",
        "      what",
        "  another-long-name",
    ]
    cut = columns.cut_rows(narrow, flexible=1, limit=24)
    assert len(cut) == 2
    assert max(map(len, cut)) <= 24
    numbers = columns.grid([("a", "number"), ("row", "1,000")], numbers=1, limit=12)
    assert numbers == ["  a", "  row", "      number", "      1,000"]
