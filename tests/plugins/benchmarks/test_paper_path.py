"""The paper's path, whole: LLaVA rows and all nine benchmarks from files, the paper's table, and its cells filled.

The parts are small and the files are the embedded world's; commands are those of docs/paper.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cobra_kit.cli import main
from cobra_kit.data.asked import asked_of_plugins
from cobra_kit.paper import paper_column
from cobra_kit.recipe import load_recipe
from cobra_kit.reproduce import needs as needing
from cobra_kit.reproduce import reproduction
from cobra_kit_benchmarks.common.protocol import SHORT_ANSWER

NINE = ["vqav2", "gqa", "vizwiz", "textvqa", "vsr", "pope", "refcoco", "refcoco-plus", "refcocog"]
STUDY = Path("studies/ablation_projector-paper")
SHRUNK: dict[str, Any] = {
    "model.vision_encoder": {"use": "dinosiglip/tiny"},
    "model.backbone": {"use": "mamba/tiny-chat"},
    "data": {"source": "llava", "rows": "world/train/llava.json", "images": "world/images"},
    "train.finetune.epochs": 1,
    "train.finetune.batch_size": 16,
    "evaluate.benchmarks": [
        {"use": f"benchmarks/{name}", "root": "world/test", "check_counts": False, "max_new_tokens": 8} for name in NINE
    ],
}


def settings() -> list[str]:
    return [word for key, value in SHRUNK.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def of_file(folder: Path) -> str:
    """Writes a recipe whose paper profile is the shrunk one, and returns its path."""
    profile: dict[str, Any] = {}
    for key, value in SHRUNK.items():
        *path, last = key.split(".")
        target = profile
        for name in path:
            target = target.setdefault(name, {})
        target[last] = value
    file = folder / "ablation_projector.yaml"
    packaged = Path(__file__).parents[3] / "recipes/ablation_projector.yaml"
    file.write_text(yaml.safe_dump({"extends": str(packaged), "profiles": {"paper": profile}}))
    return str(file)


@pytest.mark.slow
def test_the_papers_path_runs_whole_at_a_small_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    assert main(["data", "scenes", "--out", "world", "--train", "48", "--val", "8", "--test", "24", "--png"]) == 0
    assert main(["run", "ablation_projector", "--profile", "paper", *settings()]) == 0
    out = capsys.readouterr().out
    table = json.loads((STUDY / "table.json").read_text())
    assert [row["benchmark"] for row in table["rows"]] == NINE
    assert all(set(row["scores"]) == {"mlp", "ldpv2"} and row["questions"] for row in table["rows"])
    assert all(not row["afterwards"] and row["protocol"]["split"] for row in table["rows"])
    assert "was asked afterwards" not in " ".join(out.split())
    published = "VQAv2 -1.6, GQA -0.4, VizWiz +0.5, TextVQA -3.5, VSR -2.3, POPE -0.7, RefCOCO -2.4, RefCOCO+ -2.7"
    assert published in " ".join(out.split())

    assert main(["reproduce", "paper.table5", "--json"]) == 0
    rows = {row["row"]: row["cells"] for row in json.loads(capsys.readouterr().out)["rows"]}
    for row in ("full", "w/ LDPv2"):
        assert {cell["verdict"] for cell in rows[row]} == {"not run"}
        beside = [score for cell in rows[row] for score in cell["beside"]]
        assert [score["benchmark"] for score in beside] == NINE
        (why,) = {score["why_not"] for score in beside}
        assert re.fullmatch(
            r"settings were changed: data\.rows, data\.images, train\.finetune\.epochs and \d+ more", why
        )

    # The same study counts where these are the settings of the recipe's own paper profile.
    counted = reproduction("paper.table5", Path("studies"), recipes=[of_file(tmp_path)])
    cells = {row.name: row.cells for row in counted.rows}
    scores = {row["benchmark"]: row["scores"] for row in table["rows"]}
    for row, arm in (("full", "mlp"), ("w/ LDPv2", "ldpv2")):
        assert {cell.verdict for cell in cells[row]} <= {"met", "missed"}
        ours = {cell.column: cell.ours for cell in cells[row]}
        assert ours == {paper_column(name): scores[name][arm]["value"] for name in NINE}


def test_table_7_asks_one_model_textvqa_in_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needing, "_weights", lambda _: [])
    recipe = load_recipe("textvqa_prompt_order", profile="paper")
    prompts = {asked.name: asked.protocol().prompt.splitlines() for asked in asked_of_plugins(recipe)}
    question, tokens, short = "{question}", "Reference OCR token: {ocr}", SHORT_ANSWER
    assert prompts == {
        "ocr_first": [tokens, question, short],
        "ocr_last": [question, tokens, short],
        "without_ocr": [question, short],
    }
    row = next(row for row in reproduction("paper.table7", tmp_path).rows if row.name == "Cobra-3.5B")
    assert str(row.sources[0]) == "textvqa_prompt_order"
    assert [cell.column for cell in row.cells] == list(prompts)
    assert all("benchmark ocr_last: annotations" in cell.reason for cell in row.cells)


def test_what_data_prepare_says_of_a_recipe_is_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in NINE:
        assert main(["data", "prepare", name, "--root", str(tmp_path / "b"), "--no-download"]) == 1
        line = capsys.readouterr().out.splitlines()[-1]
        (entry,) = yaml.safe_load(line)["evaluate"]["benchmarks"]
        changes = [f"evaluate.benchmarks=[{json.dumps(entry)}]"]
        (asked,) = asked_of_plugins(load_recipe("cobra_3b", profile="paper", overrides=changes))
        assert asked.name == name
        assert all(path.is_relative_to(tmp_path / "b" / name) for path in asked.files().values())
        assert asked.prepare_commands() == (f"cobra-kit data prepare {name} --root {tmp_path / 'b'}",)
