"""Trackers are told about every event of a study, and neither stop a run nor change its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import miniature
import pytest

import cobra_kit
from cobra_kit._plugins import configure, configured
from cobra_kit.errors import PluginError, RecipeError
from cobra_kit.events import Event, Message
from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution import tracking
from cobra_kit.study.plan.study_plan import make_plan

STRANGER = '''
import random
import threading

import numpy
import torch

from cobra_kit.config import ComponentConfig
from cobra_kit.interfaces import Tracker
from cobra_kit.plugin import TrackerSpec, hookimpl


class Settings(ComponentConfig):
    file: str
    """Where names of events go."""


class Bare(ComponentConfig):
    pass


class Names(Tracker):
    def __init__(self, config, study):
        super().__init__(config, study)
        self.names = []

    def __call__(self, event, /):
        random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
        self.names.append(f"{self.run_name(event)} {type(event).__name__}")

    def close(self):
        with open(self.config.file, "a") as file:
            file.writelines(f"{name}\\n" for name in [*self.names, "closed"])


class Raises(Tracker):
    def __call__(self, event, /):
        if type(event).__name__ == "StepDone":
            raise ValueError("the service is away")


class FailsToBegin(Tracker):
    def __init__(self, config, study):
        raise OSError("no such host")

    def __call__(self, event, /):
        pass


class Exits(Tracker):
    def __call__(self, event, /):
        raise SystemExit(3)

    def close(self):
        raise ValueError("nothing to close")


class Hangs(Tracker):
    def __call__(self, event, /):
        pass

    def close(self):
        threading.Event().wait()


@hookimpl
def cobra_trackers():
    for name, cls in {"raises": "Raises", "fails": "FailsToBegin", "exits": "Exits", "hangs": "Hangs"}.items():
        yield TrackerSpec(name=name, summary=name, target=f"{__name__}:{cls}", config=f"{__name__}:Bare")
    yield TrackerSpec(name="names", summary="names", target=f"{__name__}:Names", config=f"{__name__}:Settings")
    yield TrackerSpec(
        name="needy", summary="", target="nowhere:A", config=f"{__name__}:Bare", requires=("not-there>=2",)
    )
'''


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[None]:
    file = tmp_path / "stranger.py"
    file.write_text(STRANGER)
    files, enabled = configured()
    configure(files=[file], enabled=True)
    yield
    configure(files=files, enabled=enabled)


@pytest.fixture(autouse=True)
def _cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(cache))


def warnings_of(folder: Path, trackers: str, *, steps: int = 3) -> list[str]:
    """Trains a model for a few steps before trackers, and returns the warnings that a user sees."""
    recipe = miniature.write(folder, miniature.RECIPE)
    events: list[Event] = []
    cobra_kit.run(
        recipe,
        out=folder / "study",
        overrides=[
            f"train.finetune.steps={steps}",
            "evaluate.benchmarks=[presence]",
            "evaluate.validation=null",
            f"trackers={trackers}",
        ],
        report=events.append,
    )
    assert (folder / "study" / "runs" / "model-s7" / "scores.json").is_file()
    texts = [event.text for event in events if isinstance(event, Message) and event.level == "warning"]
    return [text for text in texts if "tracker" in text]


@pytest.mark.usefixtures("stranger")
def test_a_tracker_hears_everything_and_changes_no_number(tmp_path: Path, finished: Any) -> None:
    recipe = miniature.write(tmp_path)
    names = tmp_path / "names"
    table = cobra_kit.run(
        recipe,
        out=tmp_path / "watched",
        control="shuffled-images",
        overrides=[f"trackers=[{{use: stranger/names, file: '{names}'}}]"],
    )
    assert miniature.without_times(table) == miniature.without_times(finished[2])
    told = names.read_text().splitlines()
    assert told.pop() == "closed"
    of_run = [line.split()[1] for line in told if line.startswith("watched/linear-s7 ")]
    assert of_run.count("StepDone") == 20
    assert of_run.count("Validated") == 2
    assert of_run.count("Scored") == 12
    assert (of_run[0], of_run[-1]) == ("RunStarted", "RunDone")


@pytest.mark.usefixtures("stranger")
def test_one_that_raises_is_named_once_counted_and_left_out(tmp_path: Path) -> None:
    other = f"{{use: trackers/json-lines, folder: '{tmp_path / 'lines'}'}}"
    failed, count = warnings_of(tmp_path, f"[stranger/raises, {other}]")
    title = f"tracker 'stranger/raises' ({tmp_path / 'stranger.py'})"
    assert failed.startswith(f"{tmp_path / 'stranger.py'}:")
    assert f"{title} failed in Raises.__call__: ValueError: the service is away\n" in failed
    assert failed.endswith("It is left out from now on; the runs go on without it.")
    [file] = (tmp_path / "lines").iterdir()
    events = [json.loads(line) for line in file.open()]
    first = [event["event"] for event in events].index("StepDone")
    assert count == f"{title} was told {first} of {len(events)} events: it was left out after it failed"


@pytest.mark.usefixtures("stranger")
def test_one_that_cannot_begin_or_wants_to_end_the_program_is_left_out(tmp_path: Path) -> None:
    begun, exited, _ = warnings_of(tmp_path, "[stranger/fails, stranger/exits]", steps=1)
    assert "failed in FailsToBegin.__init__: OSError: no such host\nIt is left out" in begun
    assert "failed in Exits.__call__: it called exit(3)\nIt is left out" in exited


@pytest.mark.usefixtures("stranger")
def test_one_that_hangs_while_it_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "CLOSE_SECONDS", 0.0)
    [told] = warnings_of(tmp_path, "[stranger/hangs]", steps=1)
    assert "tracker 'stranger/hangs'" in told
    assert told.endswith("did not end within 0 s; it is not waited for")


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize(
    ("trackers", "expected"),
    [
        ("[trackers/json-line]", r"trackers\.0: no tracker named 'trackers/json-line'\n +did you mean trackers/json-l"),
        ("[{use: nobody/log}]", r"trackers\.0\.use: no tracker named 'nobody/log'"),
        ("[{use: stranger/names, fil: x}]", r"2 errors in .*\n.*trackers\.0\.file?: "),
        ("[stranger/names]", r"trackers\.0: .*file: is missing"),
        ("[3]", r"trackers\.0: expected a text or a mapping, found 3"),
    ],
)
def test_a_wrong_tracker_is_told_before_anything_is_made(tmp_path: Path, trackers: str, expected: str) -> None:
    recipe = miniature.write(tmp_path, miniature.RECIPE)
    with pytest.raises(RecipeError, match=expected):
        cobra_kit.run(recipe, out=tmp_path / "study", overrides=[f"trackers={trackers}"])
    assert not (tmp_path / "study").exists()


@pytest.mark.usefixtures("stranger")
def test_a_tracker_that_needs_what_is_not_installed_says_how_to_get_it(tmp_path: Path) -> None:
    recipe = miniature.write(tmp_path, miniature.RECIPE)
    with pytest.raises(PluginError, match=r"needs not-there>=2 \(not installed\)\n +pip install 'not-there>=2'"):
        cobra_kit.run(recipe, out=tmp_path / "study", trackers=["stranger/needy"])
    assert not (tmp_path / "study").exists()


def test_trackers_are_no_part_of_a_study(tmp_path: Path) -> None:
    recipe = miniature.write(tmp_path, miniature.RECIPE)
    plain = make_plan(load_recipe(recipe))
    watched = make_plan(load_recipe(recipe, overrides=["trackers=[trackers/json-lines]"]))
    assert watched.identity() == plain.identity()
    assert watched.runs[0].trained == plain.runs[0].trained
    assert "trackers" not in watched.resolved.to_yaml()
