"""Whole runs of a toy: it learns, stages train what they should, a stopped run goes on, a full disk harms nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from toy_source import ToySource

from cobra_kit.errors import DataError, TrainingError
from cobra_kit.events import Message, StageDone, StageStarted, StepDone
from cobra_kit.model import compose
from cobra_kit.train import RunSettings, TrainIntervals, train_run

EVERY_STEP = TrainIntervals(log_steps=1, save_seconds=0)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(left, right):
    """Returns the names of tensors with equal bits.

    Runs of one process on as many threads make the same operations on tensors that lie alike, and no sum of theirs
    depends on which thread comes first.
    """
    return [name for name in left if torch.equal(left[name], right[name])]


def lines(folder):
    """The metrics of steps, without the lines that begin a stage."""
    return [line for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()) if line["step"]]


def steady(folder):
    """The metrics without what depends on the clock."""
    clock = {"seconds", "tokens_per_second", "padded_tokens_per_second", "crc32"}
    return [{k: v for k, v in line.items() if k not in clock} for line in lines(folder)]


class Stop(Exception):
    pass


def stop_at(step):
    def report(event):
        if isinstance(event, StepDone) and event.step == step:
            raise Stop

    return report


def test_it_learns_what_can_only_be_seen(recipe, source, section, tmp_path):
    model = compose(recipe, overrides=["model.backbone.decay=0.97"])  # the image comes first and must not fade
    result = train_run(model, source, RunSettings(section(steps=150), seed=1), tmp_path / "run")
    first, last = lines(tmp_path / "run")[0], lines(tmp_path / "run")[-1]
    assert last["step"] == 150
    assert first["loss"] > 4
    assert last["loss"] < 0.35, "three colours at random would cost more than a third of ln 3 per token"
    assert set(last) == {
        "stage", "step", "steps", "loss", "learning_rate", "grad_norm", "tokens_per_second", "padded_tokens_per_second",
        "seconds",
        "crc32",
    }  # fmt: skip
    stage = result.stages[0]
    assert (stage.steps, stage.rows, stage.rejected_rows) == (150, 30, 0)
    assert 0 <= stage.padding_share < 0.2
    assert not model.training
    assert model.generate(source.image("p1.png"), "What colour is it?") == "green"


def test_events_tell_the_whole_story(model, source, section, tmp_path):
    events = []
    train_run(
        model, source, RunSettings(section(steps=None, epochs=1.5), seed=1), tmp_path / "run", report=events.append
    )
    started = [e for e in events if isinstance(e, StageStarted)]
    assert [(e.stage, e.steps, e.step, e.rows) for e in started] == [("finetune", 12, 0, 30)]
    assert [e.step for e in events if isinstance(e, StepDone)] == list(range(1, 13))
    assert [e.steps for e in events if isinstance(e, StageDone)] == [12]


def test_each_stage_trains_its_parts_and_no_others(make_model, source, section, tmp_path):
    settings = {"steps": 3, "batch_size": 4, "learning_rate": 0.02}
    model = make_model()
    before = weights(model)
    train_run(model, source, RunSettings(section({"align": settings}), seed=1), tmp_path / "a")
    aligned = weights(model)
    changed = set(before) - set(same(before, aligned))
    assert changed == {"projector.linear.weight", "projector.linear.bias"}

    model = make_model()
    train_run(model, source, RunSettings(section({"align": settings, "finetune": settings}), seed=1), tmp_path / "b")
    tuned = weights(model)
    frozen = [name for name in before if name.startswith("vision_encoder")]
    assert same(before, tuned) == frozen

    model = make_model()
    train_run(
        model, source, RunSettings(section({"finetune": settings, "full_finetune": settings}), seed=1), tmp_path / "c"
    )
    assert same(before, weights(model)) == []
    assert [line["stage"] for line in lines(tmp_path / "c")] == ["finetune", "full_finetune"]


def test_a_frozen_encoder_runs_once_per_image(model, source, section, tmp_path, monkeypatch):
    seen = []
    forward = type(model.vision_encoder).forward

    def counting(self, images, shapes):
        if images["pixels"].device.type != "meta":  # without values, to see which weights are read
            seen.extend(shapes)
        return forward(self, images, shapes)

    monkeypatch.setattr(type(model.vision_encoder), "forward", counting)
    train_run(model, source, RunSettings(section(epochs=3, steps=None), seed=1), tmp_path / "run")
    assert len(seen) == 30
    assert len(source.decoded) == 30


def test_the_seed_decides_and_torch_s_own_state_is_left_alone(make_model, source, section, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    runs = []
    for number, seed in enumerate((1, 1, 2)):
        model = make_model()
        train_run(model, source, RunSettings(section(), seed=seed), tmp_path / str(number))
        runs.append(weights(model))
    assert torch.equal(torch.rand(1), expected)
    assert len(same(runs[0], runs[1])) == len(runs[0])
    assert len(same(runs[0], runs[2])) < len(runs[0])


def test_a_run_stopped_at_any_step_ends_the_same(make_model, source, section, tmp_path):
    stages = {
        "align": {"steps": 4, "batch_size": 4, "learning_rate": 0.02},
        "finetune": {"steps": 10, "batch_size": 4, "micro_batch_size": 3, "learning_rate": 0.02},
    }
    whole = make_model()
    train_run(whole, source, RunSettings(section(stages), seed=1, intervals=EVERY_STEP), tmp_path / "whole")
    folder = tmp_path / "stopped"
    for step in (2, 3, 9):
        with pytest.raises(Stop):
            train_run(
                make_model(),
                source,
                RunSettings(section(stages), seed=1, intervals=EVERY_STEP),
                folder,
                report=stop_at(step),
            )
    resumed = make_model()
    result = train_run(resumed, source, RunSettings(section(stages), seed=1, intervals=EVERY_STEP), folder)
    assert result.resumed_at == "finetune/8"
    assert len(same(weights(whole), weights(resumed))) == len(weights(whole))
    assert steady(tmp_path / "whole") == steady(folder)
    assert [stage.tokens for stage in result.stages] == [
        stage.tokens
        for stage in train_run(make_model(), source, RunSettings(section(stages), seed=1), tmp_path / "whole").stages
    ]


def test_a_finished_run_is_loaded_and_not_trained_again(make_model, source, section, tmp_path):
    first = make_model()
    train_run(first, source, RunSettings(section(), seed=1), tmp_path / "run")
    again, events = make_model(), []
    result = train_run(again, source, RunSettings(section(), seed=1), tmp_path / "run", report=events.append)
    assert not events
    assert result.stages[0].steps == 12
    assert len(same(weights(first), weights(again))) == len(weights(first))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_between_two_steps(make_model, source, section, tmp_path, number):
    def press(event):
        if isinstance(event, StepDone) and event.step == 5:
            os.kill(os.getpid(), number)

    def terminated(*_):
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train_run(make_model(), source, RunSettings(section(), seed=1), tmp_path / "run", report=press)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, whole = make_model(), make_model()
    assert train_run(resumed, source, RunSettings(section(), seed=1), tmp_path / "run").resumed_at == "finetune/5"
    train_run(whole, source, RunSettings(section(), seed=1), tmp_path / "whole")
    assert len(same(weights(whole), weights(resumed))) == len(weights(whole))


def test_nan_stops_the_run_says_where_and_keeps_the_last_good_weights(make_model, source, section, tmp_path):
    model = make_model()
    good = {}

    def poison(event):
        if isinstance(event, StepDone) and event.step == 6:
            good.update(weights(model))
            model.backbone.mix.weight.register_hook(lambda gradient: gradient * float("nan"))

    with pytest.raises(TrainingError) as caught:
        train_run(model, source, RunSettings(section(), seed=1), tmp_path / "run", report=poison)
    text = str(caught.value)
    assert text.startswith("step 7 of 12 of finetune: the norm of the gradient is nan (in backbone.mix.weight)")
    assert "The weights of step 6, the last good ones, are saved." in text
    assert "Try a learning rate below 0.02" in text
    resumed = make_model()
    with pytest.raises(Stop):
        train_run(resumed, source, RunSettings(section(), seed=1), tmp_path / "run", report=stop_on_start)
    assert len(same(good, weights(resumed))) == len(good)


def stop_on_start(event):
    if isinstance(event, StageStarted):
        assert event.step == 6
        raise Stop


def test_a_full_disk_leaves_the_previous_checkpoint_whole(make_model, source, section, tmp_path, monkeypatch):
    whole = make_model()
    train_run(whole, source, RunSettings(section(), seed=1), tmp_path / "whole")
    folder, writes = tmp_path / "run", []
    replace = os.replace

    def full_on_the_fourth(old, new):
        if str(new).endswith(".safetensors"):
            writes.append(new)
            if len(writes) > 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        replace(old, new)

    monkeypatch.setattr("cobra_kit.files.writing.os.replace", full_on_the_fourth)
    with pytest.raises(TrainingError) as caught:
        train_run(make_model(), source, RunSettings(section(), seed=1, intervals=EVERY_STEP), folder)
    assert "the checkpoint cannot be written: cannot write" in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert "3-finetune-00000003.safetensors is whole; the same command goes on from there" in str(caught.value)
    monkeypatch.setattr("cobra_kit.files.writing.os.replace", replace)
    resumed = make_model()
    assert train_run(resumed, source, RunSettings(section(), seed=1), folder).resumed_at == "finetune/3"
    assert len(same(weights(whole), weights(resumed))) == len(weights(whole))


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(make_model, source, section, tmp_path, damage):
    folder = tmp_path / "run"
    with pytest.raises(Stop):
        train_run(make_model(), source, RunSettings(section(), seed=1, intervals=EVERY_STEP), folder, report=stop_at(8))
    newest = sorted((folder / "checkpoints").glob("*.safetensors"))[-1]
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[-10] ^= 1
    newest.write_bytes(content)
    events = []
    model, whole = make_model(), make_model()
    result = train_run(model, source, RunSettings(section(), seed=1), folder, report=events.append)
    warning = next(e.text for e in events if isinstance(e, Message) and e.level == "warning")
    assert warning.startswith("3-finetune-00000007.safetensors is damaged and was put aside")
    assert result.resumed_at == "finetune/6"
    train_run(whole, source, RunSettings(section(), seed=1), tmp_path / "whole")
    assert len(same(weights(whole), weights(model))) == len(weights(whole))


def test_a_checkpoint_that_cannot_be_read_now_is_not_put_aside(make_model, source, section, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with pytest.raises(Stop):
        train_run(make_model(), source, RunSettings(section(), seed=1, intervals=EVERY_STEP), folder, report=stop_at(8))
    kept = sorted((folder / "checkpoints").iterdir())

    def exhausted(path):
        raise MemoryError("Cannot allocate memory (os error 12)")

    with monkeypatch.context() as patch:
        patch.setattr("cobra_kit.weights.reading.load_file", exhausted)
        expected = (
            r"the newest checkpoint cannot be read: there is not enough memory(.|\n)*goes on from this checkpoint"
        )
        with pytest.raises(TrainingError, match=expected):
            train_run(make_model(), source, RunSettings(section(), seed=1), folder)
    assert sorted((folder / "checkpoints").iterdir()) == kept
    assert train_run(make_model(), source, RunSettings(section(), seed=1), folder).resumed_at == "finetune/7"


def test_all_checkpoints_damaged_is_an_error_and_not_a_fresh_start(make_model, source, section, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Stop):
        train_run(make_model(), source, RunSettings(section(), seed=1, intervals=EVERY_STEP), folder, report=stop_at(8))
    for path in (folder / "checkpoints").glob("*.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(TrainingError, match="every checkpoint of this run is damaged"):
        train_run(make_model(), source, RunSettings(section(), seed=1), folder)


def test_checkpoints_of_other_settings_are_refused_with_the_keys(make_model, source, section, tmp_path):
    folder = tmp_path / "run"
    train_run(make_model(), source, RunSettings(section(), seed=1), folder)
    with pytest.raises(TrainingError, match=r"other settings: train.finetune.learning_rate, seed"):
        train_run(make_model(), source, RunSettings(section(learning_rate=0.5), seed=2), folder)
    with pytest.raises(TrainingError, match="other settings: data"):
        train_run(make_model(), ToySource(name="other"), RunSettings(section(), seed=1), folder)


def test_validation_is_written_and_changes_nothing(make_model, source, section, tmp_path):
    def look(model):
        assert not model.training
        torch.rand(3)
        return {"accuracy": 0.5}

    plain, looked = make_model(), make_model()
    train_run(plain, source, RunSettings(section(), seed=1), tmp_path / "plain")
    train_run(
        looked,
        source,
        RunSettings(section(), seed=1, intervals=TrainIntervals(validate_steps=5), validate=look),
        tmp_path / "run",
    )
    assert len(same(weights(plain), weights(looked))) == len(weights(plain))
    validations = [line for line in lines(tmp_path / "run") if "validation" in line]
    assert [line["step"] for line in validations] == [5, 10, 12]
    assert {key: value for key, value in validations[0].items() if key != "crc32"} == {
        "stage": "finetune",
        "step": 5,
        "validation": {"accuracy": 0.5},
    }


BEST = TrainIntervals(log_steps=1, save_seconds=0, validate_steps=2, keep_best=True)


def looks(*accuracies):
    """A validation that finds these mean accuracies, one after another, and knows the weights it saw."""
    seen = []

    def look(model):
        seen.append(weights(model))
        return {"mean": accuracies[len(seen) - 1]}

    return look, seen


def test_the_weights_of_the_best_validation_are_kept(make_model, source, section, tmp_path):
    look, seen = looks(0.1, 0.4, 0.2, 0.4, 0.3, 0.2)
    model = make_model()
    result = train_run(model, source, RunSettings(section(), seed=1, intervals=BEST, validate=look), tmp_path / "run")
    assert result.stages[0].selected_step == 4  # the earlier of two equal ones
    assert len(same(weights(model), seen[1])) == len(seen[1])
    again = make_model()
    train_run(again, source, RunSettings(section(), seed=1, intervals=BEST), tmp_path / "run")
    assert len(same(weights(again), seen[1])) == len(seen[1])


def test_the_last_weights_may_be_the_best(make_model, source, section, tmp_path):
    look, seen = looks(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    model = make_model()
    result = train_run(model, source, RunSettings(section(), seed=1, intervals=BEST, validate=look), tmp_path / "run")
    assert result.stages[0].selected_step == 12
    assert len(same(weights(model), seen[-1])) == len(seen[-1])


@pytest.mark.parametrize("step", [4, 5, 7, 11])
def test_the_best_is_remembered_over_a_stop(make_model, source, section, tmp_path, step):
    accuracies = (0.1, 0.4, 0.2, 0.3, 0.3, 0.2)
    look, seen = looks(*accuracies)
    with pytest.raises(Stop):
        train_run(
            make_model(),
            source,
            RunSettings(section(), seed=1, intervals=BEST, validate=look),
            tmp_path,
            report=stop_at(step),
        )
    seen_before = len(seen)
    resumed = make_model()
    done = (step - 1) // 2  # looks whose checkpoint was written before the stop
    rest, seen_after = looks(*accuracies[done:])
    result = train_run(resumed, source, RunSettings(section(), seed=1, intervals=BEST, validate=rest), tmp_path)
    best = seen[1] if seen_before > 1 else seen_after[1 - done]
    assert result.stages[0].selected_step == 4
    assert len(same(weights(resumed), best)) == len(best)


def test_a_damaged_best_checkpoint_is_an_error_and_never_passed_over(make_model, source, section, tmp_path):
    def report(event):
        if isinstance(event, StepDone) and event.step == 11:
            (tmp_path / "checkpoints" / "3-finetune-00000002.safetensors").write_bytes(b"x" * 50)

    look, _ = looks(0.9, 0.4, 0.2, 0.3, 0.3, 0.2)
    with pytest.raises(TrainingError, match="the checkpoint with the best weights cannot be read") as caught:
        train_run(
            make_model(), source, RunSettings(section(), seed=1, intervals=BEST, validate=look), tmp_path, report=report
        )
    assert "set evaluate.validation.keep to last" in str(caught.value)


def test_rows_that_teach_nothing_are_left_out_and_counted(model, section, tmp_path):
    source = ToySource(200, broken=(4, 9))
    events = []
    result = train_run(model, source, RunSettings(section(), seed=1), tmp_path / "run", report=events.append)
    assert (result.stages[0].rows, result.stages[0].rejected_rows) == (198, 2)
    warnings = [e.text for e in events if isinstance(e, Message)]
    assert any(
        "2 of 200 pictures cannot be read; rows with them are left out:\np4.png: the file" in w for w in warnings
    )
    assert any("2 of 200 rows are left out:\nrow r4: its picture p4.png cannot be read" in w for w in warnings)


@pytest.mark.parametrize("stage", ["finetune", "full_finetune"])
def test_too_many_unreadable_images_stop_the_run(model, section, tmp_path, stage):
    source = ToySource(100, broken=(4, 9))
    with pytest.raises(DataError) as caught:
        train_run(model, source, RunSettings(section({stage: {"steps": 1}}), seed=1), tmp_path / "run")
    text = str(caught.value)
    assert "2 of 100 pictures cannot be read" in text
    assert "more than 1%" in text
    assert "p4.png: the file is truncated" in text
    listed = json.loads(next((tmp_path / "run" / "features").glob("unreadable-*.json")).read_text())
    assert listed == {
        "pictures": 100,
        "unreadable": {"p4.png": "the file is truncated", "p9.png": "the file is truncated"},
    }
    assert not list((tmp_path / "run" / "features").glob("*.tmp"))


def test_an_empty_split_is_an_error(model, section, tmp_path):
    with pytest.raises(DataError, match=r"no training row is left\n +The training split is empty"):
        train_run(model, ToySource(0), RunSettings(section(), seed=1), tmp_path / "run")


def test_a_copied_run_folder_goes_on_elsewhere(make_model, source, section, tmp_path: Path):
    with pytest.raises(Stop):
        train_run(
            make_model(),
            source,
            RunSettings(section(), seed=1, intervals=EVERY_STEP),
            tmp_path / "a",
            report=stop_at(8),
        )
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert train_run(make_model(), source, RunSettings(section(), seed=1), tmp_path / "b").resumed_at == "finetune/7"
