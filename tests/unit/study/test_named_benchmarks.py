"""`evaluate.benchmarks` names benchmarks of any plugin, with settings; training does not depend on them."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest

from cobra_kit.data.asked import asked_of_plugins, check_files
from cobra_kit.errors import DataError, RecipeError
from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution.shared_stages import stage_prefixes
from cobra_kit.study.plan.study_plan import StudyPlan, asked_benchmarks, make_plan, own_benchmarks

WORLD = "use: scenes/presence, name: other, seed: 3, train: 4, val: 4, test: 8"
NINE = [*["vqav2", "gqa", "vizwiz", "textvqa", "vsr", "pope", "refcoco", "refcoco-plus", "refcocog"]]


def planned(folder: Path, benchmarks: str, *overrides: str) -> StudyPlan:
    path = miniature.write(folder, miniature.RECIPE)
    return make_plan(load_recipe(path, overrides=[f"evaluate.benchmarks={benchmarks}", *overrides]))


def test_names_with_settings_stand_beside_those_of_the_data(tmp_path: Path) -> None:
    plan = planned(tmp_path, f"[{{{WORLD}}}, presence, benchmarks/vqav2]")
    section = plan.runs[0].evaluate
    assert section.columns() == ["other", "presence", "vqav2"]
    assert own_benchmarks(plan.recipe) == ("presence",)
    assert asked_benchmarks(plan.recipe) == ("presence", "other", "vqav2")
    plain = plan.resolved.plain()["evaluate"]["benchmarks"]
    assert plain[1] == "presence"
    assert (plain[0]["use"], plain[0]["test"], plain[0]["turns"]) == ("scenes/presence", 8, 8)
    assert (plain[2]["use"], plain[2]["protocol"]) == ("benchmarks/vqav2", "paper")
    assert {"scenes/presence", "benchmarks/vqav2"} <= plan.lock().keys()


def test_a_plan_that_is_written_out_is_the_same_plan(tmp_path: Path) -> None:
    plan = planned(tmp_path, f"[{{{WORLD}}}, presence]")
    again = tmp_path / "again.yaml"
    again.write_text(plan.resolved.to_yaml())
    assert make_plan(load_recipe(again)).identity() == plan.identity()


def test_names_of_the_data_alone_are_left_as_they_were(tmp_path: Path) -> None:
    plan = planned(tmp_path, "[presence, count]")
    assert plan.resolved.plain()["evaluate"]["benchmarks"] == ["presence", "count"]
    assert not any(name.startswith(("scenes/", "benchmarks/")) for name in plan.lock())


def test_a_training_is_the_same_whatever_is_asked(tmp_path: Path) -> None:
    keys = {
        tuple(prefix.key for prefix in stage_prefixes(planned(tmp_path, asked).runs[0], "data"))
        for asked in ("[presence]", f"[presence, {{{WORLD}}}]", "[presence, benchmarks/gqa]")
    }
    assert len(keys) == 1
    other = planned(tmp_path, "[presence]", "train.finetune.steps=21").runs[0]
    assert tuple(prefix.key for prefix in stage_prefixes(other, "data")) not in keys


@pytest.mark.parametrize(
    ("benchmarks", "expected"),
    [
        (
            "[benchmarks/vqa]",
            r"benchmarks\.0\.use: no benchmark named 'benchmarks/vqa'\n +did you mean benchmarks/vqav2",
        ),
        ("[vqav2]", r"benchmarks\.0: no benchmark named 'vqav2'\n +did you mean benchmarks/vqav2\?"),
        ("[{use: benchmarks/vqav2, fodler: x}]", r"benchmarks\.0\.fodler: unknown key\n +did you mean .*\.folder\?"),
        ("[{us: benchmarks/vqav2}]", r"benchmarks\.0\.use: is missing"),
        ("[3]", r"benchmarks\.0: expected a text or a mapping, found 3"),
        ("[presence, scenes/presence]", r"benchmarks\.1: two benchmarks are called 'presence'\n +Give it a name"),
        ("[presence, {use: benchmarks/vqav2, split: dev}]", r"benchmarks\.1: VQAv2 has no split 'dev'\n +It has val"),
        (
            "[presence, {use: benchmarks/vqav2, protocol: x}]",
            r"benchmarks\.1: VQAv2 has no protocol 'x'\n +It has paper",
        ),
        ("[scenes/presence]", r"evaluate\.validation: validation asks the questions of benchmarks"),
    ],
)
def test_wrong_names_and_settings_are_refused_with_their_place(tmp_path: Path, benchmarks: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        planned(tmp_path, benchmarks)


def test_all_missing_files_are_named_before_any_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = asked_of_plugins(planned(tmp_path, "[presence, benchmarks/gqa, {use: benchmarks/vsr, root: v}]").recipe)
    with pytest.raises(DataError, match="files of 2 benchmarks are not there: gqa, vsr") as caught:
        check_files(asked)
    assert "vsr: images: v/" in str(caught.value)


def test_max_new_tokens_are_the_entrys_or_the_protocols_or_the_recipes(tmp_path: Path) -> None:
    listed = f"[presence, benchmarks/gqa, {{use: benchmarks/vqav2, max_new_tokens: 5}}, {{{WORLD}}}, scenes/count]"
    tokens = [asked.protocol().max_new_tokens for asked in asked_of_plugins(planned(tmp_path, listed).recipe)]
    assert tokens == [128, 5, None, 4]  # of ranked choices none is generated; miniature says 4


@pytest.mark.parametrize(
    "name", ["cobra_3b", "ablation_projector", "ablation_encoder", "ablation_backbone", "cobra_8b"]
)
def test_the_paper_profile_names_the_nine_benchmarks_as_the_paper_asks_them(name: str) -> None:
    plan = make_plan(load_recipe(name, profile="paper"))
    assert [run.evaluate.columns() for run in plan.runs] == [NINE] * len(plan.runs)
    assert plan.runs[0].evaluate.max_new_tokens == 128
    protocols = {asked.name: asked.protocol() for asked in asked_of_plugins(plan.recipe)}
    assert protocols["gqa"].split == "testdev_balanced"
    assert all(protocol.max_new_tokens in (128, None) for protocol in protocols.values())


def test_slim_is_a_subset_by_another_name(tmp_path: Path) -> None:
    listed = "[presence, {use: benchmarks/gqa, slim: true}, {use: benchmarks/vqav2, subset: slim}, benchmarks/vsr]"
    parts = [asked.settings.part for asked in asked_of_plugins(planned(tmp_path, listed).recipe)]  # type: ignore[attr-defined]
    assert parts == ["slim", "slim", "full"]
