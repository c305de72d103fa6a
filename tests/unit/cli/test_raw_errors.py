"""What used to end as `internal error` on the command line, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.cli.entry import main
from cobra_kit.cli.failure import report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recipes", "validate", "cobra_tiny", "--set", "a." * 2000 + "a=1"], "2001 keys in a row"),
        (["bench", "cobra_tiny", "--image-tokens", ""], "'' is no whole number"),
        (["bench", "cobra_tiny", "--batch", "²"], "'²' is no whole number"),
        (["bench", "cobra_tiny", "--batch", "9" * 5000], "is no whole number"),
        (["bench", "cobra_tiny", "--batch", "1000000"], "rows of that many tokens are"),
        (["bench", "cobra_tiny", "--repeats", "9999999999"], "is too many, it must be at most"),
        (["plan", "cobra_tiny", "--rows", "9" * 400], "--rows"),
        (["export", "a\0b", "--format", "cobra", "--out", "o"], "MODEL must be a path"),
        (["--plugin", "a\0b", "plugins", "list"], "--plugin"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_words(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) in (1, 2)
    text = " ".join(capsys.readouterr().err.split())
    assert message in text
    assert "internal error" not in text


def test_symbolic_links_in_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    for arguments in (
        ["export", "loop", "--format", "cobra", "--out", "o"],
        ["import", "loop", "cobra_tiny", "--out", "o"],
        ["--plugin", "loop", "plugins", "list"],
    ):
        assert main(arguments) == 1
        assert "internal error" not in capsys.readouterr().err


def test_exhausted_memory_is_no_fault_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 EB")):
        assert report(error, debug=False) == 1
        text = capsys.readouterr().err
        assert "memory is exhausted" in text
        assert "take fewer or shorter rows at once" in text


@pytest.mark.parametrize("name", ["manifest.json", "recipe.yaml"])
def test_a_study_file_that_is_nested_too_deeply(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text('{"study": "a", "profile": null, "identity": {}}')
    (tmp_path / "recipe.yaml").write_text("title: a\n")
    (tmp_path / name).write_text("[" * 100_000)
    assert main(["report", str(tmp_path)]) == 1
    text = capsys.readouterr().err
    assert "what describes the study is damaged" in text
    assert str(tmp_path) in text


def test_a_file_that_ends_too_early_is_no_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends(*_: object, **__: object) -> None:
        raise EOFError("no data left in file")

    monkeypatch.setattr("cobra_kit.cli.status_action.study_status", ends)
    assert main(["status", str(tmp_path)]) == 70
    text = capsys.readouterr().err
    assert "no data left in file" in text
    assert "interrupted" not in text
