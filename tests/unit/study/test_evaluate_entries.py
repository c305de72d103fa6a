"""`evaluate` without names asks what the run's own recipe names, with its settings, split and root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from asked_and_killed import TOY
from fake_study import write_study

from cobra_kit import _plugins
from cobra_kit.errors import CobraError, DataError
from cobra_kit.recipe import load_recipe
from cobra_kit.recipe.sections import NamedBenchmark
from cobra_kit.study.evaluation import evaluate_run as evaluate_module
from cobra_kit.study.evaluation.asked_run import AskedRun
from cobra_kit.study.evaluation.evaluate_run import evaluate_run
from cobra_kit.study.evaluation.opened import OpenedBenchmark, open_benchmarks

ENTRY = "{use: toy-benchmark/grey, split: hard, questions: 12, max_new_tokens: 2}"


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    _plugins.configure(files=[TOY])
    yield
    _plugins.configure()


def run_of(folder: Path, benchmarks: str) -> AskedRun:
    write_study(folder)
    recipe = load_recipe(
        folder / "miniature.yaml", overrides=["evaluate.validation=null", f"evaluate.benchmarks={benchmarks}"]
    )
    return AskedRun(folder=folder, study=None, recipe=recipe)


def opened(run: AskedRun, **options) -> list[OpenedBenchmark]:
    given = {"limit": None, "split": None, "root": None, "changes": {}, "report": lambda _: None, **options}
    return open_benchmarks(run, run.evaluate.benchmarks or (), **given)


def test_an_entrys_settings_split_and_tokens_are_its_own(tmp_path: Path) -> None:
    (grey,) = opened(run_of(tmp_path, f"[{ENTRY}]"))
    assert (grey.name, grey.protocol.split, grey.protocol.available) == ("toy-benchmark/grey", "hard", 12)
    assert grey.protocol.max_new_tokens == 2


def test_what_the_command_says_comes_before_the_entry(tmp_path: Path) -> None:
    (grey,) = opened(run_of(tmp_path, f"[{ENTRY}]"), split="easy", changes={"questions": 9}, limit=4)
    assert (grey.protocol.split, grey.protocol.available, grey.protocol.asked) == ("easy", 9, 4)


def test_an_entrys_root_is_where_its_files_are_looked_for(tmp_path: Path) -> None:
    run = run_of(tmp_path, f"[{{use: benchmarks/vqav2, root: {tmp_path}/there}}]")
    with pytest.raises(DataError, match="no annotations") as caught:
        opened(run)
    assert f"{tmp_path}/there" in str(caught.value)
    with pytest.raises(DataError) as caught:
        opened(run, root=tmp_path / "elsewhere")
    assert f"{tmp_path}/elsewhere" in str(caught.value)


def test_without_names_the_recipes_entries_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[object] = []

    def noted(run: AskedRun, entries, **_):
        wanted.extend(entries)
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate_module, "open_benchmarks", noted)
    run = run_of(tmp_path, f"[{ENTRY}]")
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(run)
    (entry,) = wanted
    assert isinstance(entry, NamedBenchmark)
    assert (entry.use, entry.split, entry.settings()) == ("toy-benchmark/grey", "hard", {"questions": 12})
    wanted.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(run, ["scenes/count"])
    assert wanted == ["scenes/count"]


def test_a_recipe_that_names_none_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path, f"[{ENTRY}]")
    with pytest.raises(CobraError, match="no benchmark is named, and the run's recipe names none"):
        evaluate_run(replace(run, recipe=load_recipe(tmp_path / "miniature.yaml")))


def test_a_name_of_the_sources_own_is_asked_as_that_plugins_benchmark(tmp_path: Path) -> None:
    own, toy = opened(run_of(tmp_path, f"[presence, {ENTRY}]"), limit=3)
    assert (own.name, toy.name) == ("scenes/presence", "toy-benchmark/grey")
