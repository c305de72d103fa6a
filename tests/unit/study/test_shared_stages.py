"""Stages that runs have in common: trained once by whoever comes first, the same as if each had trained its own."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import miniature
import pytest
import torch

import cobra_kit
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message, StageStarted
from cobra_kit.recipe import load_recipe
from cobra_kit.report import AblationTable, render_markdown, render_text
from cobra_kit.study.execution.shared_stages import shared_keys, stage_prefixes
from cobra_kit.study.plan.study_plan import StudyPlan, make_plan
from cobra_kit.train import TrainIntervals
from cobra_kit.weights import load_tensors

TEXT = "pretrain_text: {steps: 6, batch_size: 4}"
CHAT = f"{TEXT}, instruct_text: {{steps: 4, batch_size: 4}}"
ALIGN = "align: {steps: 5, batch_size: 4}"
RECIPE = f"""{miniature.RECIPE}
ablation:
  factor: train
  reference: chat
  arms:
    chat: {{train: {{{CHAT}}}}}
    base: {{train: {{{TEXT}}}}}
    none: {{}}
"""


def with_stage(stage: str) -> str:
    return miniature.RECIPE.replace("\ntrain:\n", f"\ntrain:\n  {stage}\n")


def plan(tmp_path: Path, text: str = RECIPE, **settings: str) -> StudyPlan:
    path = miniature.write(tmp_path, text)
    return make_plan(load_recipe(path, overrides=[f"{key}={value}" for key, value in settings.items()]))


def keys(planned: StudyPlan) -> dict[str, list[str]]:
    return {run.name: [prefix.key for prefix in stage_prefixes(run, "data")] for run in planned.runs}


def shared(planned: StudyPlan) -> frozenset[str]:
    return shared_keys(planned.runs, {run.name: "data" for run in planned.runs})


def test_what_is_equal_up_to_the_same_stage_has_the_same_key(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    chat, base, none = keys(planned).values()
    assert (len(chat), len(base), len(none)) == (3, 2, 1)
    assert chat[0] == base[0]
    assert len({*chat, *base, *none}) == 5, "the same settings behind other stages are another outcome"
    assert shared(planned) == {chat[0]}


def test_seeds_share_nothing(tmp_path: Path) -> None:
    planned = plan(tmp_path, **{"ablation.seeds": "[7, 8]"})
    assert len(shared(planned)) == 2
    assert keys(planned)["chat-s7"][0] != keys(planned)["chat-s8"][0]


@pytest.mark.parametrize(
    ("stage", "change", "expected"),
    [
        (TEXT, "projector: {use: mlp/linear}", 1),
        (ALIGN, "projector: {use: mlp/linear}", 0),
        (TEXT, "backbone: {use: mamba/tiny, d_model: 32, n_layer: 2, d_state: 4}", 0),
        (TEXT, "fusion: {use: fusion/image-last}", 0),
    ],
)
def test_a_text_stage_asks_neither_for_encoder_nor_projector(
    tmp_path: Path, stage: str, change: str, expected: int
) -> None:
    text = with_stage(stage) + (
        f"ablation: {{factor: model, reference: a, arms: {{a: {{}}, b: {{model: {{{change}}}}}}}}}\n"
    )
    assert len(shared(plan(tmp_path, text))) == expected


def test_align_is_shared_by_arms_that_go_on_otherwise(tmp_path: Path) -> None:
    text = with_stage(ALIGN) + (
        "ablation: {factor: train.finetune.steps, reference: a, arms: {a: {}, b: {train: {finetune: {steps: 9}}}}}\n"
    )
    planned = plan(tmp_path, text)
    assert shared(planned) == {keys(planned)["a-s7"][0]}
    assert keys(planned)["a-s7"][1] != keys(planned)["b-s7"][1]


def test_other_data_are_another_stage(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    assert not shared_keys(planned.runs, {run.name: run.name for run in planned.runs})


def assert_same_weights(left: Path, right: Path) -> None:
    # Equal bits: trained in this process, on as many threads, by the same operations on tensors that lie alike.
    ours, other = (load_tensors(run / "model.safetensors") for run in (left, right))
    assert ours.keys() == other.keys()
    assert [name for name in ours if not torch.equal(ours[name], other[name])] == []


Study = tuple[Path, Path, AblationTable, list[Event]]


@pytest.fixture(scope="module")
def study(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("shared")
    path = miniature.write(folder, RECIPE)
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        table = cobra_kit.run(path, out=folder / "study", report=events.append)
    return path, folder / "study", table, events


def test_a_shared_stage_is_trained_once_and_recorded(study: Study) -> None:
    _, folder, _, events = study
    started = [(event.arm, event.stage) for event in events if isinstance(event, StageStarted)]
    assert started == [
        ("chat-s7", "pretrain_text"),
        ("chat-s7", "instruct_text"),
        ("chat-s7", "finetune"),
        ("base-s7", "finetune"),
        ("none-s7", "finetune"),
    ]
    texts = [event.text for event in events if isinstance(event, Message) and event.arm == "base-s7"]
    assert "pretrain_text: trained once for this study, by chat-s7" in texts
    [place] = (folder / "shared" / "stages").glob("*/")
    description = json.loads((place / "stage.json").read_text())
    assert (description["stage"], description["made_by"]) == ("pretrain_text", "chat-s7")
    assert set(description["identity"]["model"]) == {"fusion", "backbone"}
    for arm in ("chat", "base"):
        manifest = json.loads((folder / f"runs/{arm}-s7/manifest.json").read_text())
        assert manifest["shared_stages"] == {"pretrain_text": {"key": place.name, "made_by": "chat-s7"}}
    assert "shared_stages" not in json.loads((folder / "runs/none-s7/manifest.json").read_text())


def test_shared_time_is_told_apart(study: Study) -> None:
    _, folder, table, _ = study
    trained = {arm: json.loads((folder / f"runs/{arm}-s7/training.json").read_text()) for arm in table.arms}
    for arm in ("chat", "base"):
        own = [stage for stage in trained[arm]["stages"] if "shared" not in stage]
        assert trained[arm]["seconds"] == pytest.approx(sum(stage["seconds"] for stage in own))
        assert [stage["stage"] for stage in trained[arm]["stages"] if "shared" in stage] == ["pretrain_text"]
        assert table.costs[arm].shared_seconds == trained[arm]["shared_seconds"] > 0
    assert trained["chat"]["shared_seconds"] == trained["base"]["shared_seconds"]
    assert trained["none"]["shared_seconds"] == 0
    assert "They were trained once; each arm shows them." in render_markdown(table)
    assert render_markdown(table).count(" shared |") == render_text(table, 200).count(" shared") == 2


def test_sharing_changes_no_weight(study: Study, tmp_path: Path) -> None:
    _, folder, _, _ = study
    cobra_kit.run(miniature.write(tmp_path, with_stage(TEXT), "alone"), out=tmp_path / "alone")
    assert not (tmp_path / "alone" / "shared").exists(), "nobody to share with"
    assert_same_weights(tmp_path / "alone/runs/model-s7", folder / "runs/base-s7")


def test_a_kill_in_a_shared_stage_changes_nothing(context: ForkServerContext, study: Study, tmp_path: Path) -> None:
    recipe, folder, table, _ = study
    out = tmp_path / "study"
    child = context.Process(target=miniature.run_and_die_in, args=(str(recipe), str(out), "pretrain_text", 3))
    child.start()
    child.join(600)
    assert child.exitcode == -signal.SIGKILL
    [place] = (out / "shared" / "stages").glob("*/")
    assert not (place / "stage.json").exists()
    events: list[Event] = []
    again = cobra_kit.run(recipe, out=out, report=events.append)
    assert next(event.step for event in events if isinstance(event, StageStarted)) in {2, 3}
    assert miniature.without_times(again) == miniature.without_times(table)
    assert_same_weights(out / "runs/base-s7", folder / "runs/base-s7")


def test_of_two_at_once_one_trains_and_the_other_waits(study: Study, tmp_path: Path) -> None:
    from cobra_kit.data.sources import open_source
    from cobra_kit.model import compose
    from cobra_kit.study.execution.shared_stages import SharedStage, shared_stages

    recipe, _, _, _ = study
    planned = make_plan(load_recipe(recipe))
    chat, base, _ = planned.runs
    source = open_source(chat.resolved.recipe)
    wanted = shared_keys([chat, base], {run.name: source.fingerprint for run in (chat, base)})
    trained: list[str] = []
    inside, other_waits = threading.Event(), threading.Event()
    results: dict[str, list[SharedStage]] = {}

    def bring(index: int, report: Callable[[Event], None]) -> None:
        run = (chat, base)[index]
        model = compose(run.resolved, seed=run.seed)
        results[run.name] = shared_stages(
            run,
            model,
            source,
            wanted,
            tmp_path,
            feature_folder=tmp_path,
            report=report,
            pace=TrainIntervals(),
            validate=None,
        )

    def first(event: Event, /) -> None:
        if isinstance(event, StageStarted):
            trained.append("first")
            inside.set()
            assert other_waits.wait(600)

    def second(event: Event, /) -> None:
        if isinstance(event, StageStarted):
            trained.append("second")
        if isinstance(event, Message) and "another process is training it" in event.text:
            other_waits.set()

    threads = [threading.Thread(target=bring, args=(0, first))]
    threads[0].start()
    assert inside.wait(600)
    threads.append(threading.Thread(target=bring, args=(1, second)))
    threads[1].start()
    for thread in threads:
        thread.join(600)
    assert trained == ["first"]
    assert results["chat-s7"] == results["base-s7"]
    assert results["base-s7"][0].made_by == "chat-s7"


def test_a_damaged_description_is_named(study: Study, tmp_path: Path) -> None:
    recipe, folder, _, _ = study
    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    [file] = (copy / "shared" / "stages").glob("*/stage.json")
    file.write_text("{")
    shutil.rmtree(copy / "runs" / "base-s7")
    with pytest.raises(CobraError, match=r"stage.json: [\s\S]*Delete it and give the study's command again"):
        cobra_kit.run(recipe, out=copy)
    file.unlink()
    again = cobra_kit.run(recipe, out=copy)
    assert json.loads(file.read_text())["made_by"] == "base-s7"
    assert again.arms == ("chat", "base", "none")
