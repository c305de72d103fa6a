"""An ablation of precision: one training, which all arms answer from, each computed in its own way."""

from __future__ import annotations

import json
from pathlib import Path

import miniature
import pytest
import torch

import cobra_kit
from cobra_kit.evaluate.precision import apply_precision
from cobra_kit.events import Event, StageStarted
from cobra_kit.forecast.forecast import ArmForecast, Forecast
from cobra_kit.forecast.machine_speed import MachineSpeed
from cobra_kit.forecast.runtime_estimate import RuntimeEstimate
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.model.quantise import Int8Linear
from cobra_kit.recipe import load_recipe
from cobra_kit.recipe.sections import PrecisionSection
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.weights import load_tensors

WANTED = "max_new_tokens: 4\n  benchmarks: [presence]"
RECIPE = f"""{miniature.RECIPE.replace("max_new_tokens: 4", WANTED)}
ablation:
  factor: evaluate.precision
  reference: fp32
  arms:
    fp32: {{evaluate: {{precision: {{weights: float32}}}}}}
    bf16: {{evaluate: {{precision: {{weights: bfloat16}}}}}}
    int8: {{evaluate: {{precision: {{weights: int8}}}}}}
    bf16-state: {{evaluate: {{precision: {{state: bfloat16}}}}}}
"""


def test_the_training_is_shared_and_the_answers_are_not(tmp_path: Path) -> None:
    started: list[Event] = []

    def report(event: Event, /) -> None:
        started.extend([event] if isinstance(event, StageStarted) else [])

    cobra_kit.run(miniature.write(tmp_path, RECIPE), out=tmp_path / "study", report=report)
    assert len(started) == 1, "one training for four arms"
    runs = tmp_path / "study" / "runs"
    first, *others = [load_tensors(runs / f"{arm}-s7" / "model.safetensors") for arm in ("fp32", "bf16", "int8")]
    assert all(torch.equal(first[name], other[name]) for other in others for name in first), "saved as it was trained"
    probabilities = {}
    for arm, words in {
        "fp32": "weights float32, state kept",
        "bf16": "weights bfloat16, state kept",
        "int8": "weights int8, state kept",
        "bf16-state": "weights trained, state bfloat16",
    }.items():
        lines = (runs / f"{arm}-s7/predictions/test/presence.jsonl").read_text().splitlines()
        assert {json.loads(line)["precision"] for line in lines} == {words}
        probabilities[arm] = [json.loads(line)["probabilities"]["Yes"] for line in lines]
    exact = torch.tensor(probabilities.pop("fp32"))
    for arm, values in probabilities.items():
        error = float((torch.tensor(values) / exact - 1).abs().max())
        assert 1e-5 < error < 0.5, f"{arm} is close, and not the same"


@pytest.fixture
def model(tmp_path: Path) -> VisionLanguageModel:
    return compose(miniature.write(tmp_path, miniature.RECIPE)).eval()


def test_bfloat16_leaves_the_encoder_and_what_is_never_quantised(model: VisionLanguageModel) -> None:
    apply_precision(model, PrecisionSection(weights="bfloat16"))
    types = {name: tensor.dtype for name, tensor in model.named_parameters()}
    wide = {name for name, dtype in types.items() if dtype == torch.float32}
    assert all(
        name.startswith("vision_encoder.") or name.endswith(("A_log", ".D", "dt_proj.weight", "dt_proj.bias"))
        for name in wide
    )
    assert (
        types["backbone.backbone.layers.0.mixer.in_proj.weight"]
        == types["projector.projector.0.weight"]
        == torch.bfloat16
    )


def test_nothing_asked_changes_nothing(model: VisionLanguageModel) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert apply_precision(model, None).state is None
    assert apply_precision(model, PrecisionSection()).state is None
    assert apply_precision(model, PrecisionSection(state="bfloat16")).state == torch.bfloat16
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    apply_precision(model, PrecisionSection(weights="int8"))
    assert {type(m) for m in model.projector.modules()} & {Int8Linear} == set()
    assert any(isinstance(m, Int8Linear) for m in model.backbone.modules())


def test_the_forecast_counts_a_shared_training_once(tmp_path: Path) -> None:
    speed = MachineSpeed(measured="", load=0.0, starting=1.0, composing=0.0, drawing=0.0, features=0.0)
    local = RuntimeEstimate(
        *(1.0, 2.0, 4.0),  # starting, drawing, features: once for all
        *(8.0, 100.0, 50.0, 16.0),  # preparing, training, validation, evaluation
        speed=speed,
    )
    totals = {}
    for name, text in {"alike": RECIPE, "apart": miniature.ABLATION}.items():
        plan = make_plan(load_recipe(miniature.write(tmp_path, text)))
        arms = tuple(ArmForecast(arm, seeds=1, local=local) for arm in plan.arms)
        totals[name] = Forecast(plan, 1, arms).local_seconds()
    assert totals == {"alike": 7 + 150 + 4 * 24, "apart": 7 + 2 * 174}
