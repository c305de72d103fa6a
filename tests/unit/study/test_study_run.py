"""A whole study in miniature: what it leaves, what a second call does, what a kill does not."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import miniature
import pytest
import yaml

import cobra_kit
from cobra_kit.errors import CobraError, DamagedFile, DataError
from cobra_kit.events import Event, RunDone, StepDone
from cobra_kit.files import read_sealed_json, without_seal, write_sealed_json
from cobra_kit.machine import ROUNDING_SWITCHES
from cobra_kit.report import AblationTable, table_from_json

Finished = tuple[Path, Path, AblationTable]
BENCHMARKS = ["presence", "attribute", "count", "spatial", "reading", "boxes"]


def contents(study: Path, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(study)): path.read_bytes() for path in sorted(study.glob(pattern))}


def test_the_table_has_every_benchmark_with_floor_and_control(finished: Finished) -> None:
    _, study, table = finished
    assert table.arms == ("mlp", "linear")
    assert [row.benchmark for row in table.rows] == BENCHMARKS
    assert all(row.floor is not None and row.ceiling is not None for row in table.rows)
    assert all(set(row.controls) == {"mlp", "linear"} for row in table.rows)
    assert all(cost.image_tokens == 64 for cost in table.costs.values())
    assert table.costs["mlp"].parameters_trained > table.costs["linear"].parameters_trained
    assert table_from_json((study / "table.json").read_text()) == table
    assert (study / "table.md").read_text().startswith("## Projector ablation, test split, 1 seed")


def test_every_question_has_one_answer_and_one_score(finished: Finished) -> None:
    _, study, _ = finished
    run = study / "runs" / "mlp-s7"
    scores = without_seal(read_sealed_json(run / "scores.json"))
    assert set(scores) == {"test", "test-shuffled-images"}
    for condition, benchmarks in scores.items():
        for name, entry in benchmarks.items():
            predictions = [json.loads(line) for line in (run / "predictions" / condition / f"{name}.jsonl").open()]
            scored = [json.loads(line) for line in (run / entry["file"]).open()]
            ids = [line["question_id"] for line in predictions]
            assert len(set(ids)) == len(ids) == entry["questions"]
            assert [line["question_id"] for line in scored] == ids
            assert entry["rule"].count("/") == 1


def test_choices_are_probabilities_and_the_rest_is_text(finished: Finished) -> None:
    _, study, _ = finished
    folder = study / "runs" / "mlp-s7" / "predictions" / "test"
    for name, choices in {"presence": {"Yes", "No"}, "spatial": {"True", "False"}, "count": None}.items():
        for line in map(json.loads, (folder / f"{name}.jsonl").open()):
            assert (set(line["probabilities"]) if choices else line.get("probabilities")) == choices


def test_the_control_asks_the_same_questions_about_other_images(finished: Finished) -> None:
    _, study, _ = finished
    for name in BENCHMARKS:
        lines = [
            [json.loads(line) for line in (study / f"runs/mlp-s7/predictions/{what}/{name}.jsonl").open()]
            for what in ("test", "test-shuffled-images")
        ]
        assert [line["question_id"] for line in lines[0]] == [line["question_id"] for line in lines[1]]
        assert all(a["picture"] != b["picture"] for a, b in zip(*lines, strict=True))


def test_manifest_and_lock_say_what_the_numbers_depend_on(finished: Finished) -> None:
    _, study, _ = finished
    lock = json.loads((study / "lock.json").read_text())
    assert set(lock) == {"siglip/tiny", "mlp/gelu", "mlp/linear", "fusion/image-first", "mamba/tiny"}
    manifest = json.loads((study / "runs" / "linear-s7" / "manifest.json").read_text())
    assert manifest["seed"] == 7
    assert manifest["data"]
    [session] = manifest["sessions"]
    assert session["packages"]["torch"]
    assert session["threads"] >= 1
    assert session["environment"] == {name: os.environ[name] for name in ROUNDING_SWITCHES if os.environ.get(name)}
    recipe = yaml.safe_load((study / "runs" / "linear-s7" / "recipe.yaml").read_text())
    assert recipe["model"]["projector"]["use"] == "mlp/linear"
    assert recipe["data"]["disagreement"] == 0.1  # a default, written out


def test_features_of_one_encoder_are_computed_once(finished: Finished) -> None:
    _, study, _ = finished
    assert len(list((study / "features").glob("*/features.npy"))) == 3  # train, val, test; not per arm


def test_seeds_share_the_features_of_a_packaged_encoder(tmp_path: Path) -> None:
    """Its weights lack the heads that never run; those are random, and other ones for every seed."""
    path = miniature.write(tmp_path)
    path.write_text(path.read_text().replace(miniature.ENCODER, "dinosiglip/tiny"))
    short = ["train.finetune.steps=1", "evaluate.benchmarks=[presence]", "evaluate.validation=null"]
    cobra_kit.run(path, out=tmp_path / "study", overrides=[*short, "ablation.seeds=[1, 2]"])
    assert len(list((tmp_path / "study" / "features").glob("*/features.npy"))) == 2  # train, test; not per seed


def test_validation_was_looked_at_while_training(finished: Finished) -> None:
    _, study, _ = finished
    lines = [json.loads(line) for line in (study / "runs/mlp-s7/metrics.jsonl").open()]
    looks = [line for line in lines if "validation" in line]
    assert [line["step"] for line in looks] == [10, 20]
    assert set(looks[0]["validation"]) == {*BENCHMARKS, "mean"}


def test_a_finished_study_repeats_nothing(finished: Finished) -> None:
    recipe, study, table = finished
    before = contents(study, "runs/**/*.*")
    events: list[Event] = []
    assert cobra_kit.run(recipe, out=study, control="shuffled-images", report=events.append) == table
    assert [type(event) for event in events] == [RunDone, RunDone]
    assert contents(study, "runs/**/*.*") == before


def test_load_gives_the_trained_model(finished: Finished) -> None:
    _, study, _ = finished
    model = cobra_kit.load(study / "runs" / "linear-s7")
    assert model.components["projector"] == "mlp/linear"
    assert isinstance(model.generate(None, "What color is the circle?", max_new_tokens=2), str)


def test_load_says_where_the_models_are(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(CobraError, match=r"no trained model here\n +This is a study. Its runs: .*linear-s7, .*mlp-s7"):
        cobra_kit.load(finished[1])
    with pytest.raises(CobraError, match="no trained model here"):
        cobra_kit.load(tmp_path)


def test_what_is_missing_is_made_again_and_is_the_same(finished: Finished, tmp_path: Path) -> None:
    recipe, study, table = finished
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    run = copy / "runs" / "mlp-s7"
    (run / "scores.json").unlink()
    predictions = run / "predictions" / "test" / "presence.jsonl"
    whole = predictions.read_bytes()
    predictions.write_bytes(whole[: len(whole) // 2])  # cut within a line, and within a batch
    events: list[Event] = []
    again = cobra_kit.run(recipe, out=copy, control="shuffled-images", report=events.append)
    assert miniature.without_times(again) == miniature.without_times(table)
    assert predictions.read_bytes() == whole
    assert not any(isinstance(event, StepDone) for event in events)


def test_an_arm_on_other_data_than_those_of_the_study_is_refused(finished: Finished, tmp_path: Path) -> None:
    recipe, study, _ = finished
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    shutil.rmtree(copy / "runs" / "linear-s7")  # the arm that had not begun when the data changed
    [file] = (copy / "features").glob(".data-*.json")
    write_sealed_json(file, {**json.loads(file.read_text()), "fingerprint": "0123"})
    with pytest.raises(DataError, match=r"the data are not those this study began with \(0123 then.*\n.*--fresh"):
        cobra_kit.run(recipe, out=copy)
    assert not (copy / "runs" / "linear-s7" / "manifest.json").exists()
    file.write_text("{")
    with pytest.raises(DamagedFile, match=r"\.data-\w+\.json: [\s\S]*Delete it and give the study's command again"):
        cobra_kit.run(recipe, out=copy)
    file.unlink()  # the runs' own manifests still hold each of them
    cobra_kit.run(recipe, out=copy)


def test_other_data_than_the_run_began_with_are_refused(finished: Finished, tmp_path: Path) -> None:
    recipe, study, _ = finished
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    run = copy / "runs" / "mlp-s7"
    (run / "scores.json").unlink()
    manifest = json.loads((run / "manifest.json").read_text())
    write_sealed_json(run / "manifest.json", {**manifest, "data": "0123"})
    with pytest.raises(DataError, match=r"the data are not those this run began with \(0123 then"):
        cobra_kit.run(recipe, out=copy)


def test_an_empty_split_is_told_before_training(tmp_path: Path) -> None:
    recipe = miniature.write(tmp_path)
    events: list[Event] = []
    with pytest.raises(DataError, match=r"the test split of scenes is empty\n.*--set data.test=600"):
        cobra_kit.run(recipe, overrides=["data.test=0"], out=tmp_path / "a", report=events.append)
    with pytest.raises(DataError, match="the val split of scenes is empty"):
        cobra_kit.run(recipe, overrides=["data.val=0"], out=tmp_path / "b", report=events.append)
    with pytest.raises(CobraError, match="'train' of scenes is empty"):
        cobra_kit.run(recipe, overrides=["data.train=0"], out=tmp_path / "c", report=events.append)
    assert not any(isinstance(event, StepDone) for event in events)


def test_an_unknown_benchmark_is_named(tmp_path: Path) -> None:
    recipe = miniature.write(tmp_path)
    with pytest.raises(
        CobraError, match=r"evaluate.benchmarks.*no benchmark named 'presense'\n +did you mean presence"
    ):
        cobra_kit.run(recipe, overrides=["evaluate.benchmarks=[presense]"], out=tmp_path / "a")


def test_a_disk_that_fills_up_while_scoring_harms_nothing(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, study, table = finished
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    (copy / "runs/mlp-s7/scores.json").write_text("{}")
    replace = os.replace

    def full(old: Path, new: Path) -> None:
        if Path(new).name == "scores.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr("cobra_kit.files.writing.os.replace", full)
        with pytest.raises(CobraError, match=r"scores.json: cannot write: .*No space left[\s\S]*Make room on the disk"):
            cobra_kit.run(recipe, out=copy, control="shuffled-images")
    assert (copy / "runs/mlp-s7/scores.json").read_text() == "{}"
    again = cobra_kit.run(recipe, out=copy, control="shuffled-images")
    assert miniature.without_times(again) == miniature.without_times(table)


def test_the_library_takes_a_loaded_recipe_and_refuses_to_change_it(finished: Finished) -> None:
    recipe, study, table = finished
    loaded = cobra_kit.load_recipe(recipe)
    assert cobra_kit.run(loaded, out=study, control="shuffled-images") == table
    with pytest.raises(CobraError, match="a loaded recipe has its profile and settings already"):
        cobra_kit.run(loaded, out=study, overrides=["seed=1"])
    with pytest.raises(CobraError, match=r"no control named 'shuffled'\n +Controls: shuffled-images"):
        cobra_kit.run(loaded, out=study, control="shuffled")


def kill_and_restart(context: ForkServerContext, recipe: Path, out: Path, kills: int, seed: int) -> None:
    """Runs a study in processes that are killed at random moments; one that was done by then is begun anew."""
    generator = random.Random(seed)
    while kills:
        moment = (generator.randrange(1, 40), generator.uniform(0, 0.3))
        process = context.Process(target=miniature.run_and_die, args=(str(recipe), str(out), *moment))
        process.start()
        process.join(600)
        assert process.exitcode == -signal.SIGKILL
        if (out / "table.json").exists():
            shutil.rmtree(out)
        else:
            kills -= 1


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_table_is_the_same(
    context: ForkServerContext, finished: Finished, tmp_path: Path, kills: int
) -> None:
    _, study, table = finished
    recipe, out = miniature.write(tmp_path), tmp_path / "study"
    kill_and_restart(context, recipe, out, kills, seed=kills)
    again = cobra_kit.run(recipe, out=out, control="shuffled-images")
    assert miniature.without_times(again) == miniature.without_times(table)
    assert contents(out, "runs/*/predictions/**/*.jsonl") == contents(study, "runs/*/predictions/**/*.jsonl")
