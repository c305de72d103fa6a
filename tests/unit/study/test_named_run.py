"""A run that is trained on two sources and asked benchmarks of plugins beside its own."""

from __future__ import annotations

import json
from pathlib import Path

import miniature

import cobra_kit

SMALL = "source: scenes, train: 16, val: 4, test: 8"
RECIPE = miniature.RECIPE.replace(
    "data: {source: scenes, train: 60, val: 20, test: 24}",
    f"data: [{{{SMALL}}}, {{{SMALL}, seed: 5, weight: 0.5}}]",
)
ASKED = "[{use: scenes/count, seed: 3, train: 4, val: 4, test: 8}, scenes-presence]"


def test_two_sources_and_a_benchmark_of_another_world(tmp_path: Path) -> None:
    path = miniature.write(tmp_path, RECIPE)
    short = ["train.finetune.steps=1", "evaluate.validation=null", f"evaluate.benchmarks={ASKED}"]
    cobra_kit.run(path, overrides=short, out=tmp_path / "study")
    run = tmp_path / "study/runs/model-s7"
    scores = json.loads((run / "scores.json").read_text())["test"]
    assert list(scores) == ["count", "scenes-presence"]
    assert scores["count"]["protocol"]["decoding"] == "greedy"
    assert scores["count"]["protocol"]["max_new_tokens"] == 4
    assert scores["scenes-presence"]["protocol"]["rule"] == "pope/first-token"
    lines = (run / "scores/test/scenes-presence.jsonl").read_text().splitlines()
    assert all(json.loads(line)["picture"].startswith("scenes/") for line in lines)
    rows = json.loads((run / "manifest.json").read_text())["rows"]
    assert rows["train.finetune"]["rows"] > 0
    lock = json.loads((tmp_path / "study/manifest.json").read_text())
    assert {"scenes/world", "scenes/count"} <= {*json.dumps(lock).replace('"', " ").split()}
