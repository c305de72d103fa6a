"""`cobra-kit bench`: its text at 80 and 140 columns, its files, its exit status, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cobra_kit.bench import bandwidth, memory, systems
from cobra_kit.bench.cases import Case
from cobra_kit.cli import bench_action, main

ONCE = ["--repeats", "1", "--warmup", "0", "--no-memory", "--device", "cpu"]
QUICK = [*ONCE, "--repeats", "3", "--prompt-tokens", "4,24", "--image-tokens", "0", "--new-tokens", "3"]


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_buffer_bytes", lambda device: 1 << 20)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], *, status: int = 1) -> str:
    assert main(["bench", *arguments]) == status
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return " ".join(printed.err.split())


@pytest.mark.parametrize("columns", [80, 140])
def test_arms_and_their_crossing(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["bench", "ablation_backbone", *QUICK, "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert all(len(line) <= columns for line in lines)
    assert lines[0] == "ablation_backbone, profile laptop: random weights, protocol general, on cpu"
    for wanted in (" mamba", " transformer", "24+0", "ms/token", "Memory bandwidth, measured in this run", "share"):
        assert wanted in text
    assert "less time per token than transformer" in " ".join(text.split())
    assert ("[" in lines[5]) == (columns == 140)  # quartiles
    record = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert len(record["measurements"]) == 4
    page = (tmp_path / "out" / "bench.html").read_text()
    assert "<svg" in page
    assert "prefers-color-scheme: dark" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert ("crossover" in page) == (record["crossovers"]["float32, 1 row: mamba, transformer"]["verdict"] == "crosses")


@pytest.mark.parametrize("columns", [80, 140])
def test_the_papers_protocol(columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["bench", "ablation_projector", "--protocol", "cobra", *ONCE]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= columns for line in text.splitlines())
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith("  ")}
    assert rows["mlp"][1] == "64"
    assert rows["ldpv2"][1] == "16"
    assert "the 255 after the first" in " ".join(text.split())


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "cobra_tiny", *QUICK, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["weights"] == "random"
    assert record["statement"].startswith("cobra_tiny: random weights")


@pytest.mark.parametrize("columns", [80, 140])
def test_table_3_in_small(columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(bench_action, "PAPER_TOKENS", 8)
    assert main(["bench", "paper.table3", "--profile", "laptop", *ONCE]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= columns for line in text.splitlines())
    assert "166.5" in text
    assert "MoE-LLaVA: every second MLP" in text
    assert "at their own size: not comparable" in " ".join(text.split())


def test_a_laptop_is_told_that_nothing_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)
    monkeypatch.setattr(systems, "_RECIPES", {"MobileVLM v2": ("baselines/mobilevlm_v2", None)})  # counting takes time
    message = refused(["paper.table3", "--device", "cpu"], capsys)
    assert "nothing of it fits this machine" in message
    assert "cobra-kit bench paper.table3 --profile laptop" in message
    message = refused(["cobra_3b", "--profile", "paper", "--protocol", "cobra", "--device", "cpu"], capsys)
    assert "this needs 14." in message
    assert "cobra-kit bench cobra_3b --profile laptop" in message


def test_ctrl_c_writes_and_says_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = 0
    original = Case.measure

    def measure(self: Case) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 6:  # two cases: once before, one round, then in the middle of the next
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Case, "measure", measure)
    assert main(["bench", "cobra_tiny", *QUICK, "--out", str(tmp_path)]) == 130
    printed = capsys.readouterr()
    assert "interrupted: 1 of 3 rounds were measured and kept" in printed.err
    assert "Medians of 1 round" in printed.out
    record = json.loads((tmp_path / "bench.json").read_text())
    assert record["interrupted"]
    assert [measurement["step"]["count"] for measurement in record["measurements"]] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "genral"], "--protocol: no protocol named 'genral' did you mean general?"),
        (["--prompt-tokens", "0"], "--prompt-tokens: 0 is too few"),
        (["--batch", "0,4"], "--batch: 0 is too few"),
        (["--batch", "one"], "--batch: 'one' is no whole number"),
        (["--dtype", "float31"], "--dtype: no dtype named 'float31' did you mean float32?"),
        (["--dtype", "int8"], "--dtype: no dtype named 'int8'"),
        (["--device", "cuda"], "torch sees no GPU"),
        (["--device", "tpu"], "no device named 'tpu'"),
        (["--weights", "recipe"], "cobra_tiny names no weights for mamba/tiny"),
        (["--graphs", "always"], "steps cannot run as a graph"),
        (["--protocol", "cobra", "--new-tokens", "64"], "the paper's protocol has exactly 256 new tokens, not 64"),
        (["--against", "mamba/tyni"], "neither a recipe nor a backbone is named 'mamba/tyni'"),
        (["--set", "model.backbone.use=mamba/tyni"], "no backbone named 'mamba/tyni'"),
    ],
)
def test_bad_input(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    quick = [] if "--protocol" in arguments else QUICK
    assert message in refused(["cobra_tiny", *quick, *arguments], capsys)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(Case, "measure", lambda self: pytest.fail("measured"))
    message = refused(["cobra_tiny", *QUICK, "--out", str(tmp_path / "file" / "out")], capsys)
    assert "cannot write here: Not a directory" in message


def test_a_gpu_too_old_for_bfloat16(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    assert "Tesla T4 (compute capability 7.5) is too old for bfloat16" in refused(
        ["cobra_tiny", "--device", "cuda", "--dtype", "bfloat16"], capsys
    )


def test_a_table_takes_nothing_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(["paper.table3", "--against", "mamba/tiny"], capsys, status=2)
    assert "a table of the paper is measured as it is" in message
    assert "no speeds in 'paper.table2'" in refused(["paper.table2", "--device", "cpu"], capsys)
