"""A study's folder without its training: real recipe, data, manifest and scores files; what models said is made up."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import miniature

from cobra_kit.data.sources import open_source
from cobra_kit.evaluate.score import BenchmarkScore
from cobra_kit.files import write_json
from cobra_kit.recipe import load_recipe
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.execution.open_folder import open_study
from cobra_kit.study.execution.write_results import write_results, write_training
from cobra_kit.study.plan.study_plan import RunPlan, StudyPlan, make_plan
from cobra_kit.study.reading.stored_files import Training

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{}\\%$#_^~|*`\x00\ud800\u202e"


def write_study(
    folder: Path,
    text: str = miniature.ABLATION,
    *,
    skip: Sequence[str] = (),
    hostile: bool = False,
    profile: str | None = None,
    overrides: Sequence[str] = (),
) -> Path:
    """Writes a recipe and a study of it; runs in `skip` are not begun. Returns the study's folder."""
    path = miniature.write(folder, text)
    plan = make_plan(load_recipe(path, profile=profile, overrides=overrides))
    with open_study(folder / "study", plan) as study:
        for run in plan.runs:
            if run.name not in skip:
                _write_run(study.run(run), run, plan, hostile)
    return folder / "study"


def _write_run(place: Path, run: RunPlan, plan: StudyPlan, hostile: bool) -> None:
    source = open_source(run.resolved.recipe)
    place.mkdir(parents=True)
    session = {"started": "2026-01-01T00:00:00+00:00", "python": "3.11.7", "packages": {"torch": "2.15.0"}}
    write_json(place / "manifest.json", {"arm": run.arm, "data": source.fingerprint, "sessions": [session]})
    lines: list[Mapping[str, Any]] = [
        {"stage": "finetune", "step": step, "loss": 3 / step + 0.01 * run.seed} for step in range(1, 21)
    ]
    lines.append({"stage": "finetune", "step": 20, "validation": {"presence": 0.5, "mean": 0.5}})
    (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    took: dict[str, Any] = {"seconds": 10.0 * (1 + plan.arms.index(run.arm)), "tokens": 1000, "padding_share": 0.1}
    write_training(place, Training(**took, parameters_trained=5000, image_tokens=16, stages=[]))
    write_results(place, "test", _scored(source.benchmarks("test"), plan.arms.index(run.arm), hostile))


def _scored(benchmarks: Mapping[str, Any], arm: int, hostile: bool) -> dict[str, BenchmarkScore]:
    scored = {}
    for name, benchmark in benchmarks.items():
        scores = [
            QuestionScore(
                question_id=question.question_id,
                image=question.image,
                # The first arm is right on three of four questions, the second on others, and so on.
                score=float((index + arm) % 4 != 0),
                prediction=HOSTILE.replace("\ud800", "") if hostile else f"answer {arm}",
                answer="[0.1, 0.2, 0.5, 0.6]" if name == "boxes" else "truth",
                group=group,
            )
            for index, (question, group) in enumerate(zip(benchmark.questions, benchmark.groups, strict=True))
        ]
        scored[name] = BenchmarkScore(
            benchmark=name,
            rule=benchmark.rule,
            floor=benchmark.floor,
            ceiling=benchmark.ceiling,
            mean_of_groups=False,
            summary={"accuracy": 0.75},
            scores=scores,
        )
    return scored


def write_validations(study: Path, times: Mapping[str, float], *, noise: float = 0.03, steps: int = 20) -> None:
    """Lets every run of a study have learnt: each benchmark rises from its floor, in about `times` of its arm.

    Args:
        study: The study's folder.
        times: Arm to the steps in which it learns two thirds of what it will.
        noise: How far single validations and seeds scatter.
        steps: Steps of training, validated ten times.
    """
    draw = random.Random(0)
    for arm, time in times.items():
        for place in sorted(study.glob(f"runs/{arm}-s*")):
            own = time * math.exp(draw.gauss(0, 4 * noise))
            lines = [{"stage": "finetune", "step": step, "loss": 3 / step} for step in range(1, steps + 1)]
            for step in range(steps // 10, steps + 1, steps // 10):
                reached = {
                    name: min(max(floor + 0.4 * (1 - math.exp(-step / own)) + draw.gauss(0, noise), 0), 1)
                    for name, floor in (("presence", 0.5), ("reading", 0.1), ("boxes", 0.0))
                }
                figures = {**reached, "mean": fmean(reached.values())}
                lines.append({"stage": "finetune", "step": step, "validation": figures})
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (place / "metrics.jsonl").write_text(text, encoding="utf-8")


def without_digests(study: Path) -> Path:
    """Makes a study as it was before files carried digests, so that a test may change what stands in them."""
    for file in [study / "manifest.json", *study.glob("runs/*/*.json")]:
        content = json.loads(file.read_text(encoding="utf-8"))
        for key in ("sha256", "files"):
            content.pop(key, None)
        for entry in (entry for value in content.values() if isinstance(value, dict) for entry in value.values()):
            if isinstance(entry, dict):
                entry.pop("digest", None)
        write_json(file, content)
    return study
