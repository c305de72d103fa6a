"""Our own trackers write what they are told, and say what they need."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from cobra_kit._plugins import default_registry
from cobra_kit.errors import PluginError
from cobra_kit.events import Event, Message, Progress, RunDone, RunStarted, Scored, StepDone, Validated
from cobra_kit.interfaces import Tracker

EVENTS: tuple[Event, ...] = (
    Message(text="nothing spécial"),
    RunStarted(arm="mlp-s7", folder="x"),
    Progress(arm="mlp-s7", task="features", done=1, total=2, unit="pictures"),
    StepDone(
        arm="mlp-s7", stage="finetune", step=1, steps=2, loss=2.5, tokens_per_second=9.0, seconds_left=1.0,
        learning_rate=0.001,
    ),
    Validated(arm="mlp-s7", stage="finetune", step=1, figures={"presence": 0.25, "mean": 0.25}),
    Scored(arm="mlp-s7", benchmark="pope", condition="test", figures={"accuracy": 0.5, "f1": None}, questions=2),
    RunDone(arm="mlp-s7", seconds=3.0, worked=True),
)  # fmt: skip


def tell(name: str, study: Path) -> Tracker:
    extension = default_registry().tracker(name)
    tracker = extension.load_tracker()(extension.load_config()(), study)
    for event in EVENTS:
        tracker(event)
    tracker.close()
    return tracker


def test_lines_of_json_have_the_fields_of_every_event(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    tell("trackers/json-lines", study)
    tell("trackers/json-lines", study)  # the same process goes on
    [file] = (study / "trackers").iterdir()
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["event"] for line in lines] == 2 * [type(event).__name__ for event in EVENTS]
    assert lines[0]["run"] == "study"
    assert {line["run"] for line in lines[1:7]} == {"study/mlp-s7"}
    assert lines[0]["text"] == "nothing spécial"
    assert (lines[3]["loss"], lines[3]["learning_rate"], lines[3]["step"]) == (2.5, 0.001, 1)
    assert lines[4]["figures"] == {"presence": 0.25, "mean": 0.25}
    assert lines[5]["figures"] == {"accuracy": 0.5, "f1": None}


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_tensorboard_that_is_not_installed_is_named_with_the_command() -> None:
    with pytest.raises(PluginError, match=r"needs tensorboard>=2\.15 \(not installed\)\n +pip install 'tensorboard"):
        default_registry().tracker("trackers/tensorboard").load_tracker()


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_has_a_folder_of_curves_per_run(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = tmp_path / "study"
    study.mkdir()
    tell("trackers/tensorboard", study)
    curves = EventAccumulator(str(study / "trackers" / "study" / "mlp-s7"))
    curves.Reload()
    told = {name: curves.Scalars(name)[0] for name in curves.Tags()["scalars"]}
    assert {name: (point.step, round(point.value, 6)) for name, point in told.items()} == {
        "finetune/loss": (1, 2.5),
        "finetune/tokens_per_second": (1, 9.0),
        "finetune/learning_rate": (1, 0.001),
        "finetune/validation/presence": (1, 0.25),
        "finetune/validation/mean": (1, 0.25),
        "test/pope/accuracy": (0, 0.5),
    }
    assert any((study / "trackers" / "study").glob("events.*"))
