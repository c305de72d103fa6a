"""Any damage to any file of a study: the same result, or an error that names the file and whose advice works."""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import damaged_study
import miniature
import pytest
from fake_study import without_digests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import example as explicit_example
from hypothesis import strategies as st

import cobra_kit
from cobra_kit.cli.entry import main
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message, StepDone
from cobra_kit.recipe import load_recipe
from cobra_kit.report import AblationTable, build_table
from cobra_kit.report.html import render_page
from cobra_kit.study.execution.open_folder import open_study
from cobra_kit.study.reading import results
from cobra_kit.study.reading.report import report_view, study_state
from cobra_kit.study.reading.status import study_status
from cobra_kit.study.search.search_plan import make_search_plan
from cobra_kit.trials.storage import JOURNAL

_STEP = re.compile(r" at step \d+")
FAST_EXAMPLES = 100
MANY_EXAMPLES = int(os.environ.get("COBRA_KIT_DAMAGE_EXAMPLES", "2000"))
CONTROL = "shuffled-images"
RECIPE = (
    miniature.ABLATION.replace("steps: 20", "steps: 6")
    .replace("train: 60, val: 20, test: 24", "train: 16, val: 6, test: 8")
    .replace("{every_steps: 10, questions: 12}", "{every_steps: 3, questions: 4}")
    .replace("max_new_tokens: 4", "max_new_tokens: 2\n  benchmarks: [presence, count]")
)


@dataclass(frozen=True)
class Outcome:
    """What the commands say about a study."""

    table: dict[str, Any] | None
    missing: tuple[str, ...]
    trials: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Studies:
    """A study in several states, and what becomes of each when its command is given again."""

    recipe: Path
    folders: dict[str, Path]
    outcomes: dict[str, Outcome]
    table: dict[str, Any]


@pytest.fixture(scope="module")
def studies(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studies]:
    root = tmp_path_factory.mktemp("damage")
    recipe = miniature.write(root, RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        # Tables are compared by the thousand: fewer draws of the bootstrap show as much of damage.
        patch.setattr(results, "build_table", functools.partial(build_table, resamples=100))
        patch.setenv("COBRA_KIT_CACHE", str(cache))

        def stop(event: Event) -> None:
            if isinstance(event, StepDone) and event.arm == "linear-s7" and event.step == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cobra_kit.run(recipe, out=root / "training", control=CONTROL, report=stop)
        shutil.copytree(root / "training", root / "finished")
        table = cobra_kit.run(recipe, out=root / "finished", control=CONTROL)
        answering = shutil.copytree(root / "finished", root / "answering") / "runs" / "linear-s7"
        (answering / "scores.json").unlink()
        shutil.rmtree(answering / "scores")
        for file in (answering / "predictions" / "test").glob("*.jsonl"):
            lines = file.read_bytes().splitlines(keepends=True)
            file.write_bytes(b"".join(lines[: len(lines) // 2]))
        folders = {name: root / name for name in ("finished", "training", "answering")}
        outcomes = {name: outcome(place) for name, place in folders.items()}
        yield Studies(recipe, folders, outcomes, miniature.without_times(table))


def outcome(study: Path) -> Outcome:
    state = study_state(study)
    table = None if state.table is None else miniature.without_times(state.table)
    status = study_status(study)
    trials = tuple((trial.name, trial.state) for trial in status.trials)
    return Outcome(table, tuple(line.replace(str(study), "") for line in state.missing), trials)


def names(text: str, study: Path, file: str) -> bool:
    """Returns whether a text names a damaged file, or the folder that is one thing with it, such as a cache."""
    places = [study / file, *(place for place in (study / file).parents if study in place.parents)]
    return any(str(place) in text for place in places if place.name not in ("runs", "features", "shared"))


def attempt(command: Callable[[], Any], study: Path, file: str) -> Any:
    """Returns what a command returns; of one that refuses the file, None after its advice was followed."""
    problem: CobraError | None = None
    try:
        return command()
    except CobraError as error:
        problem = error
    assert names(str(problem), study, file), f"the error does not name {file}: {problem}"
    damaged_study.follow(problem, study)
    return None


def check_table(seen: dict[str, Any] | None, expected: dict[str, Any] | None) -> None:
    """Checks that a table is the same, or tells of runs whose log is damaged: nothing can make a log again."""
    if seen is not None and expected is not None and seen["learning"] != expected["learning"]:
        notes = (seen["learning"] or {"notes": ["no whole log"]})["notes"]
        assert any("no whole log" in note for note in notes), notes
        seen, expected = ({**table, "learning": None} for table in (seen, expected))
    assert seen == expected


def check_same(seen: Outcome, expected: Outcome, file: str) -> None:
    """Checks that a study says the same, or tells of the file, such as a log that cannot be made again."""
    check_table(seen.table, expected.table)
    if file == JOURNAL and len(seen.trials) == len(expected.trials):
        # Cut between two lines it is what a kill leaves: trials whose end is not told are waiting, and done in no time.
        pairs = zip(seen.trials, expected.trials, strict=True)
        assert all(
            now == then or (now[0] == then[0] and now[1] in ("waiting", "running", "stopped")) for now, then in pairs
        )
    else:
        assert seen.trials == expected.trials
    # A log of an unfinished run that is cut between two lines is what a kill leaves: an earlier step is its last.
    known = {_STEP.sub("", line) for line in expected.missing}
    unknown = [line for line in seen.missing if line not in expected.missing and _STEP.sub("", line) not in known]
    assert all(file in line for line in unknown), seen.missing


def check(studies: Studies, kind_of_study: str, file: str, kind: str, place: float, value: int) -> None:
    source = studies.folders[kind_of_study]
    with tempfile.TemporaryDirectory() as folder:
        study = damaged_study.copy_study(source, Path(folder) / "study")
        damaged_study.damage(study / file, kind, place, value)
        if (seen := attempt(lambda: outcome(study), study, file)) is not None:
            check_same(seen, studies.outcomes[kind_of_study], file)

        def run() -> AblationTable:
            return cobra_kit.run(studies.recipe, out=study, control=CONTROL)

        table = attempt(run, study, file) or run()
        check_table(miniature.without_times(table), studies.table)
        check_same(outcome(study), studies.outcomes["finished"], file)


damages = st.tuples(
    st.sampled_from(["finished"] * 10 + ["training", "answering"]),
    st.floats(0, 1),
    st.sampled_from(damaged_study.KINDS),
    st.floats(0, 1),
    st.integers(0, 255),
)


def example(studies: Studies, drawn: tuple[str, float, str, float, int]) -> None:
    kind_of_study, which, kind, place, value = drawn
    files = damaged_study.files_of(studies.folders[kind_of_study])
    check(studies, kind_of_study, files[int(which * (len(files) - 1))], kind, place, value)


# A failing example is small as it is, and making it smaller would take hours.
quietly = settings(
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@settings(quietly, max_examples=FAST_EXAMPLES)
@given(drawn=damages)
def test_any_damage_is_named_or_harmless(studies: Studies, drawn: tuple[str, float, str, float, int]) -> None:
    example(studies, drawn)


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        (["recipe.yaml"], ["recipe.yaml: the study's recipe is missing; it is written anew"]),
        (["lock.json"], ["lock.json: the study's lock is missing; it is written anew"]),
        (["runs/mlp-s7/scores/test/count.jsonl"], ["count.jsonl: no such scores; scored again from the answers"]),
        (["runs/mlp-s7/lock.json"], ["mlp-s7/lock.json: is missing; written anew"]),
        (
            ["runs/mlp-s7/scores/test/count.jsonl", "runs/mlp-s7/model.safetensors"],
            ["scored again from the answers", "model.safetensors: is missing; taken from the last checkpoint"],
        ),
        (["runs/mlp-s7/scores.json", "runs/mlp-s7/predictions/test/count.jsonl"], []),
        (["runs/mlp-s7/training.json"], []),
        (["runs/mlp-s7/manifest.json"], []),
        (["manifest.json"], []),
        (["trials.journal"], []),
    ],
)
def test_what_is_missing_is_made_from_the_rest_and_told(
    studies: Studies, tmp_path: Path, removed: list[str], told: list[str]
) -> None:
    study = damaged_study.copy_study(studies.folders["finished"], tmp_path / "study")
    trained = (study / "runs/mlp-s7/checkpoints").stat().st_mtime_ns
    for name in removed:
        (study / name).unlink()
    events: list[Event] = []
    table = cobra_kit.run(studies.recipe, out=study, control=CONTROL, report=events.append)
    assert miniature.without_times(table) == studies.table
    assert all((study / name).is_file() for name in removed)
    assert (study / "runs/mlp-s7/checkpoints").stat().st_mtime_ns == trained
    text = "\n".join(event.text for event in events if isinstance(event, Message))
    assert all(words in text for words in told), text
    assert not any(isinstance(event, StepDone) for event in events)
    assert outcome(study) == studies.outcomes["finished"]


@pytest.mark.parametrize("kept", [0, 3, -1])
def test_a_journal_that_lost_its_end_since_the_table_is_named(studies: Studies, tmp_path: Path, kept: int) -> None:
    study = damaged_study.copy_study(studies.folders["finished"], tmp_path / "study")
    journal = study / "trials.journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:kept]))
    for command in (lambda: outcome(study), lambda: cobra_kit.run(studies.recipe, out=study, control=CONTROL)):
        with pytest.raises(CobraError, match=r"trials.journal: holds [\d,]+ bytes, [\s\S]*Delete it and give"):
            command()
    journal.unlink()
    for _ in range(2):
        table = cobra_kit.run(studies.recipe, out=study, control=CONTROL)
        assert miniature.without_times(table) == studies.table
    assert outcome(study) == studies.outcomes["finished"]


def test_a_study_without_digests_is_told_once(
    studies: Studies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = without_digests(damaged_study.copy_study(studies.folders["finished"], tmp_path / "study"))
    for command in (["status", str(study)], ["report", str(study), "--format", "csv"]):
        assert main(command) == 0
        assert capsys.readouterr().err.count("written before files carried digests") == 1
    assert miniature.without_times(cobra_kit.run(studies.recipe, out=study, control=CONTROL)) == studies.table


def test_a_search_s_page_says_that_its_journal_is_damaged(tmp_path: Path) -> None:
    text = miniature.search("train.finetune.learning_rate: {choices: [0.001, 0.002]}", sampler={"use": "grid"})
    with open_study(tmp_path / "study", make_search_plan(load_recipe(miniature.write(tmp_path, text)))):
        pass
    (tmp_path / "study" / "trials.journal").write_text("nonsense\n")
    events: list[Event] = []
    view = report_view(study_state(tmp_path / "study"), events.append)
    assert any("the search's trials: damaged" in line for line in view.missing)
    assert any("trials.journal:1: damaged" in event.text for event in events if isinstance(event, Message))


@settings(quietly, max_examples=FAST_EXAMPLES)
@given(drawn=damages)
@explicit_example(drawn=("finished", 0.9604245477376017, "flip", 0.9604245477376017, 66))  # an image's name
def test_without_digests_damage_is_an_error_of_words_or_none(
    studies: Studies, drawn: tuple[str, float, str, float, int]
) -> None:
    """A stranger may write any study, and one of an older version has nothing to compare with."""
    kind_of_study, which, kind, place, value = drawn
    files = damaged_study.files_of(studies.folders[kind_of_study])
    with tempfile.TemporaryDirectory() as folder:
        study = without_digests(damaged_study.copy_study(studies.folders[kind_of_study], Path(folder) / "study"))
        file = study / files[int(which * (len(files) - 1))]
        damaged_study.damage(file, kind, place, value)
        before = {path: path.read_bytes() for path in study.rglob("*.json*")}
        try:
            outcome(study)
            view = report_view(study_state(study))
            render_page(view)
        except CobraError as error:
            refused = str(error)
        else:
            refused = str(study)
        assert str(study) in refused
        assert {path: path.read_bytes() for path in study.rglob("*.json*")} == before


@pytest.mark.slow
@settings(quietly, max_examples=MANY_EXAMPLES)
@given(drawn=damages)
def test_any_damage_of_thousands(studies: Studies, drawn: tuple[str, float, str, float, int]) -> None:
    example(studies, drawn)
