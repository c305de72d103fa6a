"""`cobra-kit recipes` as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cobra_kit.cli import main
from cobra_kit.recipe import builtin_recipes, load_recipe, resolve

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `cobra-kit recipes ...` on a terminal of 80 columns; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "80")

    def run_recipes(*words: str) -> tuple[int, str, str]:
        code = main(["recipes", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_recipes


def parsed(run: Run, *words: str) -> Any:
    code, out, _ = run(*words, "--json")
    assert code == 0
    return json.loads(out)


def test_list(run: Run) -> None:
    code, out, _ = run("list")
    assert code == 0
    table, _, rest = out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()[1:] if line[0] != " "] == list(builtin_recipes())
    assert "Not built: baselines/moe_llava" in rest
    assert all(len(line) <= 80 for line in out.splitlines())
    assert {row["name"]: row["profiles"] for row in parsed(run, "list")}["cobra_3b"] == ["laptop", "paper"]


def test_list_survives_a_recipe_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("title: [", encoding="utf-8")
    plugin = tmp_path / "extra.py"
    plugin.write_text(
        "from pathlib import Path\nfrom cobra_kit.plugin import hookimpl\n\n@hookimpl\ndef cobra_recipes():\n"
        "    return [Path(__file__).with_name('bad.yaml')]\n",
        encoding="utf-8",
    )
    code, out, _ = run("list", "--plugin", str(plugin))
    assert code == 0
    assert "extra/bad" in out
    assert "cobra_tiny" in out
    errors = {row["name"]: row["error"] for row in parsed(run, "list", "--plugin", str(plugin))}
    assert "not valid YAML" in errors["extra/bad"]
    assert errors["cobra_tiny"] is None


def test_show_prints_the_file(run: Run) -> None:
    assert run("show", "cobra_tiny")[1] == builtin_recipes()["cobra_tiny"].read_text(encoding="utf-8")


def test_show_resolved_is_itself_a_recipe(run: Run, tmp_path: Path) -> None:
    words = ("show", "ablation_encoder", "--arm", "siglip", "--profile", "paper", "--set", "seed=3")
    _, out, _ = run(*words)
    assert out.splitlines()[0].startswith("# ablation_encoder, profile paper, arm siglip, resolved by cobra-kit ")
    (tmp_path / "shown.yaml").write_text(out, encoding="utf-8")
    again = resolve(load_recipe(tmp_path / "shown.yaml"))
    as_json = parsed(run, *words)
    assert again.plain() == as_json["recipe"]
    assert again.lock() == as_json["lock"]
    assert (again.recipe.seed, again.plain()["model"]["projector"]["use"]) == (3, "mlp/gelu")


def test_show_unknown_arm(run: Run) -> None:
    code, _, err = run("show", "ablation_projector", "--arm", "mpl")
    assert (code, err) == (1, "error: ablation_projector: no arm named 'mpl'\n       arms: mlp, ldpv2\n")


def test_validate_says_what_differs_and_what_follows(run: Run) -> None:
    code, out, _ = run("validate", "ablation_projector", "--profile", "laptop")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].endswith("ablation_projector.yaml is valid")
    assert "  factor model.projector; reference mlp; seeds 1, 2, 3, 4, 5" in lines
    assert "  mlp    reference" in lines
    assert "  ldpv2  model.projector.use: mlp/fused -> ldpv2/fused" in lines
    assert "  derived, exempt:" in lines
    assert all(len(line) <= 80 for line in lines[1:])
    (profile,) = parsed(run, "validate", "ablation_projector", "--profile", "laptop")
    sizes = {arm: entry["derived"] for arm, entry in profile["arms"].items()}
    assert (sizes["mlp"]["encoder_tokens"], sizes["mlp"]["image_tokens"]) == (64, 64)
    assert (sizes["ldpv2"]["encoder_tokens"], sizes["ldpv2"]["image_tokens"]) == (64, 16)
    assert profile["arms"]["ldpv2"]["differs"] == [
        {"path": "model.projector.use", "left": "mlp/fused", "right": "ldpv2/fused"}
    ]
    assert "ldpv2/fused" in profile["lock"]


def test_validate_checks_every_profile(run: Run) -> None:
    assert [row["profile"] for row in parsed(run, "validate", "cobra_3b")] == ["laptop", "paper"]
    (plain,) = parsed(run, "validate", "cobra_tiny")
    assert plain["profile"] is None
    assert plain["derived"]["visual_width"] == 192


def test_validate_reports_parts_that_do_not_fit(run: Run) -> None:
    code, out, err = run("validate", "cobra_tiny", "--set", "model.projector.use=ldpv2/mobilevlm")
    assert (code, out) == (1, "")
    assert "error: cobra_tiny: ldpv2/mobilevlm does not fit dinosiglip/tiny:" in err


def test_validate_reports_all_errors_of_all_profiles(run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    text = (
        "extends: cobra_3b\nsede: 1\nprofiles:\n  paper: {model: {backbone: {use: mamba/2.9b}}}\n  tiny: {titel: x}\n"
    )
    recipe.write_text(text, encoding="utf-8")
    code, _, err = run("validate", str(recipe))
    assert code == 1
    assert err.startswith(f"error: 2 errors in {recipe}")
    assert f"{recipe}:2: sede: unknown key (did you mean seed?)" in err
    assert f"{recipe}:5: titel: unknown key (did you mean title?)" in err
    recipe.write_text(text.replace("sede", "seed").replace("titel", "title"), encoding="utf-8")
    code, _, err = run("validate", str(recipe))
    assert code == 1
    assert "no backbone named 'mamba/2.9b'" in err


def test_diff_of_recipes(run: Run) -> None:
    changes = parsed(run, "diff", "cobra_3b", "cobra_3b", "--other-profile", "paper")
    paths = [change["path"] for change in changes]
    assert {"model.vision_encoder.use", "model.backbone.use", "data.source", "train.finetune.batch_size"} <= set(paths)
    assert not {"model.projector.use", "model.fusion.use", "train.finetune.epochs"} & set(paths)
    _, out, _ = run("diff", "cobra_3b", "cobra_3b", "--other-profile", "paper")
    assert "  -  mamba/tiny-chat    " in out
    assert "  +  mamba/2.8b-zephyr  " in out
    assert run("diff", "cobra_tiny", "cobra_tiny")[1] == "no difference\n"


def test_diff_of_arms(run: Run) -> None:
    changes = parsed(run, "diff", "ablation_encoder", "--arms")
    assert [change["path"] for change in changes["siglip"]] == ["model.vision_encoder.use", "model.projector.use"]
    assert run("diff", "ablation_encoder", "--arms")[1].startswith("arm siglip, compared with dinosiglip\n")
    assert "cobra_tiny: the recipe has no arms" in run("diff", "cobra_tiny", "--arms")[2]
    for words in (["cobra_tiny"], ["cobra_tiny", "cobra_3b", "--arms"]):
        code, _, err = run("diff", *words)
        assert code == 2
        assert "either two recipes, or one and --arms" in err


def test_schema(run: Run) -> None:
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out)["properties"]["extends"]["description"]


def test_only_validate_imports_torch() -> None:
    code = (
        "import sys; from cobra_kit.cli import main\n"
        "for words in (['list'], ['show', 'cobra_3b', '--resolved'], ['diff', 'ablation_fusion', '--arms']):\n"
        "    assert main(['recipes', *words]) == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
