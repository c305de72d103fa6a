"""Stages without images: the backbone alone learns, nothing is decoded, and what comes before is never lost."""

from __future__ import annotations

import pytest
import torch
from toy_source import ToySource

from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError
from cobra_kit.events import StepDone
from cobra_kit.recipe import sections
from cobra_kit.train import RunSettings, TrainIntervals, train_run, training_identity
from cobra_kit.train.stages import STAGES, trained_until

SETTINGS = {"steps": 3, "batch_size": 4, "learning_rate": 0.02}
FORMS = {"pretrain_text": "passages", "instruct_text": "conversations"}


class Reading(ToySource):
    """A toy source with words alone; notes which form was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def text_rows(self, form):
        self.asked.append(form)
        turns = (("", "It is red."),) if form == "passages" else (("A red thing.\nWhat colour?", "red"),)
        return [TrainingRow(f"{form}/{i}", (), turns, ("colour",)) for i in range(8)]


@pytest.fixture
def source():
    return Reading()


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(left, right):
    return {name.partition(".")[0] for name in left if not torch.equal(left[name], right[name])}


@pytest.mark.parametrize("stage", FORMS)
def test_the_backbone_learns_alone_and_no_image_is_opened(make_model, source, section, tmp_path, stage):
    model = make_model()
    before = weights(model)
    looks = []
    settings = RunSettings(
        section({stage: SETTINGS}), seed=1, intervals=TrainIntervals(validate_steps=1), validate=looks.append
    )
    train_run(model, source, settings, tmp_path / "run")
    assert changed(before, weights(model)) == {"backbone"}
    assert source.asked == [FORMS[stage]]
    assert source.decoded == []
    assert looks == [], "questions about pictures say nothing about a stage without them"


def test_text_is_learnt(make_model, source, section, tmp_path):
    stages = {"pretrain_text": {**SETTINGS, "steps": 60}}
    [result] = train_run(make_model(), source, RunSettings(section(stages), seed=1), tmp_path / "run").stages
    assert result.rows == 8
    assert result.loss < 1


def test_a_curriculum_works_on_text_too(make_model, source, section, tmp_path):
    stages = {"instruct_text": {**SETTINGS, "curriculum": {"kinds": ["colour"], "share": 0.5}}}
    [result] = train_run(make_model(), source, RunSettings(section(stages), seed=1), tmp_path / "run").stages
    assert result.steps == 3


class Stop(Exception):
    pass


def test_a_stop_in_align_does_not_lose_what_the_text_taught(make_model, source, section, tmp_path):
    stages = section({name: SETTINGS for name in ("pretrain_text", "instruct_text", "align", "finetune")})
    whole = make_model()
    train_run(whole, source, RunSettings(stages, seed=1), tmp_path / "whole")

    def stop(event):
        if isinstance(event, StepDone) and (event.stage, event.step) == ("align", 3):
            raise Stop

    with pytest.raises(Stop):
        train_run(
            make_model(),
            source,
            RunSettings(stages, seed=1, intervals=TrainIntervals(save_seconds=0)),
            tmp_path / "run",
            report=stop,
        )
    resumed = make_model()
    assert train_run(resumed, source, RunSettings(stages, seed=1), tmp_path / "run").resumed_at == "align/2"
    assert changed(weights(whole), weights(resumed)) == set()


def test_stages_done_elsewhere_are_not_repeated_and_change_nothing(make_model, source, section, tmp_path):
    stages = {"pretrain_text": SETTINGS, "finetune": SETTINGS}
    whole, split = make_model(), make_model()
    train_run(whole, source, RunSettings(section(stages), seed=1), tmp_path / "whole")
    first = train_run(split, source, RunSettings(section({"pretrain_text": SETTINGS}), seed=1), tmp_path / "first")
    result = train_run(split, source, RunSettings(section(stages), seed=1, done=first.stages), tmp_path / "rest")
    assert [stage.stage for stage in result.stages] == ["pretrain_text", "finetune"]
    assert changed(weights(whole), weights(split)) == set()
    again = make_model()
    train_run(again, source, RunSettings(section(stages), seed=1), tmp_path / "rest")
    assert changed(weights(whole), weights(again)) == set(), "the folder holds the whole, not the rest"


def test_what_each_stage_has_trained():
    stages = ["pretrain_text", "align", "finetune"]
    assert trained_until(stages, "pretrain_text") == {"backbone"}
    assert trained_until(stages, "align") == {"backbone", "projector"}
    assert trained_until(stages, "finetune") == {"backbone", "projector", "fusion"}
    assert trained_until(["align"], "align") == {"projector"}
    assert tuple(STAGES) == sections.STAGES
    assert all(stage.trains <= stage.involves for stage in STAGES.values())


def test_the_identity_has_only_what_the_stages_involve(section):
    kinds = ("vision_encoder", "projector", "fusion", "backbone")
    components = {kind: f"toy/{kind}" for kind in kinds}
    text = training_identity(components, {}, "data", section({"pretrain_text": SETTINGS}), 7)
    assert list(text["components"]) == ["fusion", "backbone"]
    both = section({"pretrain_text": SETTINGS, "align": SETTINGS})
    assert set(training_identity(components, {}, "data", both, 7)["components"]) == set(kinds)


def test_a_source_without_text_is_an_error(make_model, source, section, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "text_rows", lambda form: [])
    with pytest.raises(DataError, match="no training row is left"):
        train_run(make_model(), source, RunSettings(section({"pretrain_text": SETTINGS}), seed=1), tmp_path / "run")
