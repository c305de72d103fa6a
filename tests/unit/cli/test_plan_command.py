"""`cobra-kit plan`: the text and the JSON, arms that cannot be built, bad input; and `recipes validate` on data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import miniature
import pytest

from cobra_kit.cli import main
from cobra_kit.errors import PluginError
from cobra_kit.forecast import forecast as forecast_module
from cobra_kit.forecast import measuring as speed


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(speed, "_SECONDS", 0.05)
    return miniature.write(tmp_path)


def test_a_laptop_recipe_measured_here(recipe: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["plan", str(recipe), "--hardware", "cpu"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "arm mlp (reference)" in text
    assert "all arms and seeds" in text
    assert "nothing is missing on this machine" in text
    assert "measured on 60 of 60 drawn pictures" in text
    (first, *_) = kept = list((tmp_path / "cache" / "speed").iterdir())
    assert len(kept) == 2
    stamp = first.stat().st_mtime_ns
    assert main(["plan", str(recipe), "--hardware", "cpu", "--json"]) == 0
    plain: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert first.stat().st_mtime_ns == stamp  # known already
    arm = plain["arms"]["mlp"]
    assert arm["stages"][0]["steps"] == 20
    parts = ("starting", "drawing", "features", "preparing", "training", "validation", "evaluation")
    assert all(arm["this_cpu"][part] > 0 for part in parts)
    assert arm["this_cpu"]["total"] == pytest.approx(sum(arm["this_cpu"][part] for part in parts))
    totals = [arm["this_cpu"]["total"] for arm in plain["arms"].values()]
    assert totals[0] < plain["this_cpu_seconds"] < sum(totals)  # drawing and features once
    assert plain["utilisation"]["value"] == pytest.approx(0.18, abs=0.02)


def test_full_size(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    arguments = ["plan", "cobra_3b", "--profile", "paper", "--devices", "8", "--hardware", "a100", "--price", "2"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 or "http" in line or "hf download" in line for line in text.splitlines())
    for wanted in ("3,548,076,096", "2,816,135,168", "full-shard + ckpt", "8 x A100-80GB", "xiuyul/mamba-2.8b-zephyr"):
        assert wanted in text
    assert "Price: $2 per device and hour, as given." in text
    assert "assumed, for the data are not here" in text


def test_what_cannot_fit_says_what_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["plan", "cobra_3b", "--profile", "paper", "--hardware", "a100", "--set"]
    assert main([*arguments, "train.finetune.micro_batch_size=48"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "It does not fit. With full-shard and checkpointing," in text
    assert "--devices" in text


def test_an_arm_that_cannot_be_built_does_not_stop_the_others(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = forecast_module.count_model

    def count_model(resolved: Any) -> Any:
        if resolved.arm == "linear":
            raise PluginError("mlp/linear is not finished yet", hint="It comes later.")
        return original(resolved)

    monkeypatch.setattr(forecast_module, "count_model", count_model)
    assert main(["plan", str(recipe), "--hardware", "h100"]) == 0
    text = capsys.readouterr().out
    assert "no forecast: mlp/linear is not finished yet (It comes later.)" in text
    assert "mlp/gelu" in text
    assert main(["plan", str(recipe), "--hardware", "h100", "--json"]) == 0
    arms = json.loads(capsys.readouterr().out)["arms"]
    assert list(arms["linear"]) == ["problem"]
    assert arms["mlp"]["hardware"] == {"h100": None}  # too small for the constant


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hardware", "tpu"], "no hardware named 'tpu'"),
        (["--set", "train=null"], "the recipe has no section `train`"),
        (["--set", "data.trainn=3"], "data.trainn: unknown key"),
        (["--devices", "0"], "invalid value for '--devices'"),
    ],
)
def test_bad_input(recipe: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(recipe), *arguments]) in (1, 2)
    assert message in capsys.readouterr().err


def test_validate_checks_the_data_settings(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "validate", str(recipe), "--set", "data.trainn=3"]) == 1
    error = capsys.readouterr().err
    assert "data.trainn: unknown key" in error
    assert "did you mean data.train?" in error
    assert main(["recipes", "validate", str(recipe), "--set", "data.source=scene"]) == 1
    assert "no data source named 'scene'" in capsys.readouterr().err
