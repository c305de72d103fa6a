"""Whose folder it is: other recipes, other processes, other things in it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from cobra_kit import files
from cobra_kit.errors import CobraError
from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution.open_folder import open_study
from cobra_kit.study.plan.study_plan import StudyPlan, make_plan


@pytest.fixture
def plan(recipe: Path) -> StudyPlan:
    return make_plan(load_recipe(recipe))


def other(recipe: Path, *overrides: str) -> StudyPlan:
    return make_plan(load_recipe(recipe, overrides=overrides))


def test_the_same_recipe_comes_back(plan: StudyPlan, tmp_path: Path) -> None:
    for _ in range(2):
        with open_study(tmp_path / "study", plan) as folder:
            assert folder.run(plan.runs[0]) == tmp_path / "study" / "runs" / "mlp-s7"


def test_another_recipe_is_refused_with_what_differs(plan: StudyPlan, recipe: Path, tmp_path: Path) -> None:
    with open_study(tmp_path / "study", plan):
        pass
    changed = other(
        recipe,
        "train.finetune.steps=30",
        "data.turns=4",
        "ablation.arms.linear={model: {projector: {use: ldpv2/plain}}}",
    )
    with pytest.raises(CobraError) as caught, open_study(tmp_path / "study", changed):
        pass
    text = str(caught.value)
    assert "the study there was made by another recipe" in text
    assert "data.turns: 8 there, 4 now" in text
    assert "train.finetune.steps: 20 there, 30 now" in text
    assert 'ablation.arms.linear.model.projector.use: "mlp/linear" there, "ldpv2/plain" now' in text
    assert "--fresh" in text


def test_fresh_deletes_the_study_and_nothing_else(plan: StudyPlan, recipe: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    with open_study(study, plan):
        (study / "runs" / "mlp-s7").mkdir(parents=True)
        (study / "notes.txt").write_text("mine")
    with open_study(study, other(recipe, "train.finetune.steps=30"), fresh=True):
        assert not (study / "runs").exists()
        assert (study / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "lost+found"])
def test_a_folder_with_clutter_is_as_good_as_an_empty_one(plan: StudyPlan, tmp_path: Path, name: str) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / name).write_text("a file manager's")
    for fresh in (False, True):
        with open_study(study, plan, fresh=fresh):
            assert (study / "manifest.json").exists()
    assert (study / name).read_text() == "a file manager's"


def test_without_a_home_a_study_has_the_caches(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COBRA_KIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setattr(files.caches._Fallback, "announced", False)
    events: list[object] = []
    with open_study(tmp_path / "study", plan, report=events.append):
        assert files.user_cache() == tmp_path / "study" / "cache"
        files.user_cache().mkdir()
    assert len(events) == 1
    assert "cannot be written: caches are in" in str(events[0])
    with open_study(tmp_path / "study", plan, fresh=True, report=events.append):
        assert not (tmp_path / "study" / "cache").exists()
    assert len(events) == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_other_things_is_left_alone(plan: StudyPlan, tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "runs").mkdir()
    with (
        pytest.raises(CobraError, match=r"holds other things \(.*thesis.tex.*\) and no study"),
        open_study(tmp_path, plan, fresh=fresh),
    ):
        pass
    assert (tmp_path / "runs").is_dir()
    assert not (tmp_path / "manifest.json").exists()


def test_a_file_in_its_place_is_told(plan: StudyPlan, tmp_path: Path) -> None:
    (tmp_path / "study").write_text("")
    with pytest.raises(CobraError, match="cannot make the study folder"), open_study(tmp_path / "study", plan):
        pass


def test_a_damaged_manifest_is_told(plan: StudyPlan, tmp_path: Path) -> None:
    with open_study(tmp_path / "study", plan):
        (tmp_path / "study" / "manifest.json").write_text("{")
    with (
        pytest.raises(
            CobraError,
            match=r"manifest.json: what describes the study is damaged[\s\S]*Delete it and give",
        ),
        open_study(tmp_path / "study", plan),
    ):
        pass


def hold(recipe: Path, folder: Path, held: Any, done: Any) -> None:
    """Holds a study until `done` is set."""
    with open_study(folder, make_plan(load_recipe(recipe))):
        held.set()
        done.wait(600)


def test_a_second_process_is_told_who_holds_it_and_harms_nothing(
    context: ForkServerContext, plan: StudyPlan, recipe: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    held, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(recipe, study, held, done))
    process.start()
    try:
        assert held.wait(600)
        before = {path: path.read_bytes() for path in study.iterdir()}
        with (
            pytest.raises(CobraError, match=rf"another process is working on this study: process {process.pid} on "),
            open_study(study, plan, fresh=True),
        ):
            pass
        assert {path: path.read_bytes() for path in study.iterdir()} == before
        process.kill()
        process.join(60)
        with open_study(study, plan):  # the lock of a killed process is gone with it
            assert str(os.getpid()) in (study / ".lock").read_text()
    finally:
        if process.is_alive():  # a killed waiter never wakes, and set() would wait for it
            done.set()
        process.join(60)


@pytest.mark.parametrize("name", [".lock", "runs", "shared", "features", "runs/mlp-s7", "trials.log"])
def test_a_link_that_leads_out_is_refused_before_anything_is_written(
    plan: StudyPlan, tmp_path: Path, name: str
) -> None:
    study, home = tmp_path / "study", tmp_path / "home"
    with open_study(study, plan):
        pass
    home.mkdir()
    (home / ".bashrc").write_text("mine")
    link = study / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(home / ".bashrc" if name in (".lock", "trials.log") else home)
    with pytest.raises(CobraError, match=f"{name}: is a link that leads out of .*study"), open_study(study, plan):
        pass
    assert os.listdir(home) == [".bashrc"]
    assert (home / ".bashrc").read_text() == "mine"
    link.unlink()
    with open_study(study, plan):
        pass


def test_a_study_whose_folder_is_a_link_opens(plan: StudyPlan, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "study").symlink_to("disk")
    with open_study(tmp_path / "study", plan):
        pass
    assert (tmp_path / "disk" / "manifest.json").exists()


def test_a_folder_is_emptied_only_once_the_workers_of_a_killed_run_are_gone(plan: StudyPlan, tmp_path: Path) -> None:
    study, told = tmp_path / "study", []
    with open_study(study, plan), open_study(study, plan, worker=True), open_study(study, plan, worker=True):
        pass  # the one that holds the folder, and those that work for it
    began, may_end = threading.Event(), threading.Event()

    def work() -> None:
        with open_study(study, plan, worker=True):
            began.set()
            assert may_end.wait(600)
            assert (study / "recipe.yaml").is_file()

    def report(event: Any, /) -> None:
        told.append(event.text)
        may_end.set()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        assert began.wait(600)
        with open_study(study, plan, report=report):  # whoever goes on need not wait
            assert not working.done()
        with open_study(study, plan, fresh=True, report=report):
            working.result()
    assert told == ["waiting until the workers of an earlier run have stopped"]
