"""A whole pretraining run, small: repeatable, resumable, for any encoder with a grid; and what its recipe may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cobra_kit._plugins import Registry
from cobra_kit.errors import CobraError, RecipeError, ShapeError, WeightsError
from cobra_kit.events import Event, Message, StepDone
from cobra_kit.train.encoders import (
    Pretrained,
    PretrainPlan,
    build_encoder,
    load_pretrain_recipe,
    pretrain,
    pretraining,
    save_encoder,
)
from cobra_kit.train.encoders.resume import ResumeFile
from cobra_kit.train.encoders.task import batch_rows
from cobra_kit.train.loop import TrainIntervals
from cobra_kit.train.loop_state import LoopState
from cobra_kit.weights import load_metadata, load_tensors

TOY = Path(__file__).parents[3] / "toy_plugin.py"
REGISTRY = Registry.discover(files=[TOY])
(TOY_NAME,) = (item.qualified for item in REGISTRY.components("vision_encoder") if item.plugin == "toy-plugin")

RECIPE = f"""\
vision_encoder: {{use: {TOY_NAME}, width: 8}}
data: {{pictures: 60, seed: 1, probe_fit: 50, probe_test: 40}}
objective:
  kind: contrastive
  weights: {{region: 1.0, phrase: 1.0, caption: 0.5, count: 0.5}}
train: {{steps: 6, batch_size: 8, learning_rate: 1.0e-2}}
"""
DENSE = RECIPE.replace("contrastive", "dense").replace(
    "{region: 1.0, phrase: 1.0, caption: 0.5, count: 0.5}", "{mask: 1.0, color: 1.0, box: 1.0}"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cobra_kit_scenes.encoders.probe._STEPS", 3)


def plan(tmp_path: Path, *overrides: str, text: str = RECIPE) -> PretrainPlan:
    file = tmp_path / "toy.yaml"
    file.write_text(text)
    return load_pretrain_recipe(file, overrides=overrides, registry=REGISTRY)


def weights(result: Pretrained) -> dict[str, torch.Tensor]:
    return dict(result.encoder.state_dict())


def same(first: Pretrained, second: Pretrained) -> bool:
    """Returns whether all weights have equal bits: one process, as many threads, the same operations."""
    return all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


@pytest.mark.parametrize("text", [RECIPE, DENSE], ids=["contrastive", "dense"])
def test_a_strangers_encoder_learns_and_repeats(tmp_path: Path, cache: Path, text: str) -> None:
    events: list[Event] = []
    chosen = plan(tmp_path, text=text)
    first = pretrain(chosen, report=events.append, cache_dir=cache)
    start = build_encoder(chosen)
    assert not torch.equal(start.state_dict()["widen.weight"], weights(first)["widen.weight"])
    assert same(first, pretrain(chosen, cache_dir=cache))
    assert not same(first, pretrain(plan(tmp_path, "train.seed=1", text=text), cache_dir=cache))
    (done,) = [event for event in events if isinstance(event, StepDone)]
    assert (done.step, done.steps) == (6, 6)
    assert all(first.losses[term] > 0 for term in chosen.recipe.objective.weights)
    assert any("step 6 of 6: " in event.text for event in events if isinstance(event, Message))
    assert [probe.name for probe in first.probes][:4] == ["color", "shape", "size", "cell"]


def test_no_steps_only_probe(tmp_path: Path, cache: Path) -> None:
    chosen = plan(tmp_path, "train.steps=0")
    result = pretrain(chosen, cache_dir=cache)
    assert torch.equal(weights(result)["widen.weight"], build_encoder(chosen).state_dict()["widen.weight"])
    assert result.losses == {}
    assert result.probes


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, file = plan(tmp_path), tmp_path / "toy.resume.safetensors"
    whole = pretrain(chosen, cache_dir=cache)
    real = ResumeFile.save

    def die_after_three(self: ResumeFile, state: LoopState) -> None:
        real(self, state)
        if state.progress.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as every_step:
        every_step.setattr(pretraining, "INTERVALS", TrainIntervals(save_seconds=0))
        every_step.setattr(ResumeFile, "save", die_after_three)
        with pytest.raises(KeyboardInterrupt):
            pretrain(chosen, resume=file, cache_dir=cache)
    with pytest.raises(WeightsError, match="unfinished run of another recipe"):
        pretrain(plan(tmp_path, "train.steps=7"), resume=file, cache_dir=cache)
    events: list[Any] = []
    assert same(whole, pretrain(chosen, resume=file, report=events.append, cache_dir=cache))
    assert "going on after step 3" in [event.text for event in events if isinstance(event, Message)]
    assert not file.exists()


def test_the_file_is_float16_and_leaves_out_what_never_runs(tmp_path: Path, cache: Path) -> None:
    result = pretrain(plan(tmp_path), cache_dir=cache)
    result.encoder.register_parameter("idle", torch.nn.Parameter(torch.ones(3)))
    result.encoder.register_parameter("fixed", torch.nn.Parameter(torch.ones(3), requires_grad=False))
    file = tmp_path / "toy.safetensors"
    assert save_encoder(file, result, {"component": TOY_NAME}) == ["idle"]
    tensors = load_tensors(file)
    assert set(tensors) == {"widen.weight", "widen.bias", "fixed"}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert load_metadata(file)["component"] == TOY_NAME
    with torch.no_grad():
        result.encoder.get_parameter("widen.weight").fill_(1e6)
    with pytest.raises(WeightsError, match=r"widen\.weight does not fit float16"):
        save_encoder(file, result, {})
    assert set(load_tensors(file)) == set(tensors), "the older file is untouched"


def test_every_epoch_sees_every_image_in_another_order(tmp_path: Path) -> None:
    settings = plan(tmp_path).recipe.train
    epochs = [[row for step in range(7) for row in batch_rows(56, settings, 7 * e + step)] for e in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(56))
    assert epochs[0] != epochs[1]


def test_a_loss_that_is_no_number_stops(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(CobraError, match=r"the loss is (nan|inf) at step \d") as caught:
        pretrain(plan(tmp_path, "train.learning_rate=1.0e+38", "train.steps=40"), cache_dir=cache)
    assert "learning_rate" in str(caught.value)


def test_an_encoder_without_a_grid_is_refused(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cobra_kit.interfaces import TokenShape

    chosen = plan(tmp_path)
    monkeypatch.setattr(
        chosen.component.load_class(), "max_shape", classmethod(lambda cls, config: TokenShape(64)), raising=True
    )
    with pytest.raises(ShapeError, match=r"pretraining needs one token per cell of a grid"):
        pretrain(chosen, cache_dir=cache)


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ("widht: 8", "toy.yaml:1", "unknown key"),
        ("kind: contrastve", "toy.yaml:4", "'contrastive' or 'dense'"),
        ("regoin: 1.0", "toy.yaml:3", "has no term regoin; it has caption, phrase, region, count"),
        ("steps: six", "toy.yaml:6", "integer"),
        ("probe_fit: 70", "toy.yaml:2", "probe_fit 70 is more than there are pictures, 60"),
        ("batch_size: 1", "toy.yaml:6", "greater than or equal to 2"),
    ],
)
def test_mistakes_are_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, where: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    key = {"widht": "width", "regoin": "region"}.get(change.partition(":")[0], change.partition(":")[0])
    old = next(
        part for part in RECIPE.replace("}", ",").replace("{", ",").replace("\n", ",").split(",") if f"{key}:" in part
    )
    with pytest.raises(RecipeError) as caught:
        plan(tmp_path, text=RECIPE.replace(old.strip(), change))
    assert where in str(caught.value)
    assert message in str(caught.value)


def test_an_unknown_encoder_is_located(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--set vision_encoder\.use=siglip/tinny.*"):
        plan(tmp_path, "vision_encoder.use=siglip/tinny")


def test_shipped_recipes_hold_and_are_no_model_recipes() -> None:
    from cobra_kit.recipe import builtin_recipes
    from cobra_kit.recipe.locate import pretraining_recipes

    towers = {name for name in pretraining_recipes() if name.startswith("towers/")}
    assert towers == {"towers/siglip_tiny", "towers/dinov2_tiny"}
    assert not set(pretraining_recipes()) & set(builtin_recipes())
    for name in towers:
        recipe_plan = load_pretrain_recipe(name)
        assert recipe_plan.recipe.title
        assert recipe_plan.component.qualified == name.removeprefix("towers/").replace("_", "/")
