"""`cobra-kit export` and `import`: what they print, and that the help lists every format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from exchange_models import trained, write_recipe

import cobra_kit
from cobra_kit.cli import main
from cobra_kit.exchange import FORMATS


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    trained(write_recipe(tmp_path)).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_there_and_back(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    arguments = ["export", str(saved), "--format", "cobra", "--out", str(theirs)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "not in this form: the vision encoder; whoever reads it brings siglip/tiny's weights",
        f"wrote {theirs}",
    ]
    assert main(["import", str(theirs), str(tmp_path / "mlp_fused.yaml"), "--out", str(ours)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"wrote {ours}; open it with cobra_kit.load('{ours}')"
    first, second = cobra_kit.load(saved).state_dict(), cobra_kit.load(ours).state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert main(arguments) == 1
    assert "the folder is there already and holds checkpoints, config.json" in capsys.readouterr().err
    assert main([*arguments, "--force", "--dtype", "bfloat16"]) == 0
    content = torch.load(theirs / "checkpoints" / "latest-checkpoint.pt", weights_only=True)["model"]
    assert content["projector"]["projector.0.weight"].dtype == torch.bfloat16


def test_errors_are_a_line_and_hints(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(write_recipe(tmp_path, "ldpv2/fused"))
    assert main(["export", str(saved), "--format", "cobra", "--out", str(tmp_path / "theirs")]) == 0
    capsys.readouterr()
    assert main(["import", str(tmp_path / "theirs"), recipe, "--out", str(tmp_path / "ours")]) == 1
    assert (
        "\n       arch_specifier: fused-gelu-mlp in the checkpoint, fused-ldpnet in the recipe\n"
        in capsys.readouterr().err
    )
    assert main(["export", str(tmp_path), "--format", "llava", "--out", str(tmp_path / "x")]) == 1
    assert "no trained model here" in capsys.readouterr().err
    assert main(["export", str(saved), "--format", "llava", "--out", str(saved), "--force"]) == 1
    assert "this is where the model is read from" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "doing"), [("export", "writes"), ("import", "reads")])
def test_the_help_lists_every_format(
    command: str, doing: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    for name, form in FORMATS.items():
        described = getattr(form, doing)
        assert (described is not None) == (f"\n    {name:<12}" in text)
        assert described is None or f"    {name:<12}{described}\n" in text
