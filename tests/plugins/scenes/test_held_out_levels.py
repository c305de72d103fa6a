"""The mix of levels among held-out questions: today's where none is asked for, the asked one elsewhere."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.recipe import load_recipe, resolve
from cobra_kit.study.plan.study_plan import with_data
from cobra_kit_scenes import BENCHMARKS, Benchmark, SceneDataset, SceneParams, cache_key, reach, scenes_dataset
from cobra_kit_scenes.generation import identity
from cobra_kit_scenes.held_out import HeldOut, held_out_questions
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.questions import ASK, LEVELS
from cobra_kit_scenes.questions.presence import popular_pairs
from cobra_kit_scenes.rows import train_rows
from cobra_kit_scenes.source import ScenesSource
from cobra_kit_scenes.splits import image_rng, scene_of

QUESTIONS_BEFORE = "57379235d9020b42"


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene_of(0, "test", index) for index in range(600)]


def chosen(scenes: list[Scene], levels: Any) -> dict[Benchmark, list[HeldOut]]:
    params = SceneParams.checked(held_out_levels=levels)
    return held_out_questions(scenes, "test", 0, popular_pairs(scenes), params.held_out_levels)


def counts(questions: list[HeldOut]) -> dict[str, int]:
    return dict(Counter(item.question.slice for item in questions))


def test_without_a_mix_the_questions_are_those_of_ever(scenes: list[Scene]) -> None:
    questions = chosen(scenes, None)
    assert hashlib.sha256(repr(questions).encode()).hexdigest().startswith(QUESTIONS_BEFORE)
    assert questions == held_out_questions(scenes, "test", 0, popular_pairs(scenes)) == chosen(scenes, {})


def test_a_world_without_a_mix_keeps_its_name() -> None:
    params = identity(SceneParams.checked(train=5))["params"]
    assert "held_out_levels" not in params
    # What stood in manifests before there was a mix, and which of it is in the name.
    assert set(params) == set(SceneParams.model_fields) - {"held_out_levels"}
    assert len({cache_key(SceneParams.checked(held_out_levels=levels)) for levels in (None, {}, 1, {"box": 1})}) == 3


def test_levels_have_the_asked_shares(scenes: list[Scene]) -> None:
    mix = {"spatial": {1: 2, 2: 1}, "box": {1: 1, 2: 1, 3: 2}, "count": {1: 1}}
    questions = chosen(scenes, mix)
    places = counts(questions["vsr"])
    assert set(places) == {"spatial/1", "spatial/2"}
    assert places["spatial/2"] > 60
    assert abs(places["spatial/1"] - 2 * places["spatial/2"]) <= 12
    boxes = counts(questions["refcoco"])
    assert abs(boxes["box/1"] + boxes["box/2"] - boxes["box/3"]) <= 12
    assert "count/2" not in counts(questions["vqav2"])


def test_a_mix_takes_no_room_from_abilities_of_the_same_benchmark(scenes: list[Scene]) -> None:
    def share(levels: Any, ability: str) -> float:
        by_slice = counts(chosen(scenes, levels)["vqav2"])
        return sum(n for name, n in by_slice.items() if name.startswith(ability)) / sum(by_slice.values())

    for ability in ("color", "shape", "count"):
        assert share({"count": {1: 1}}, ability) == pytest.approx(share(None, ability), abs=0.08)


def test_abilities_without_a_mix_keep_their_questions(scenes: list[Scene]) -> None:
    mixed, plain = chosen(scenes, {"spatial": 1}), chosen(scenes, None)
    assert [name for name in BENCHMARKS if mixed[name] != plain[name]] == ["vsr"]


def test_a_number_is_the_hardest_level() -> None:
    def of(levels: Any) -> Any:
        return SceneParams.checked(held_out_levels=levels).held_out_levels

    assert of({"spatial": 2}) == {"spatial": {1: 1, 2: 1}}
    assert of(3) == {ability: dict.fromkeys(levels, 1) for ability, levels in LEVELS.items()}
    assert of({"spatial": {"1": 2}}) == {"spatial": {1: 2}}, "as JSON and recipes write it"


def test_negatives_that_a_level_has_not_are_left_out(scenes: list[Scene]) -> None:
    questions = chosen(scenes, {"presence": 1})
    assert questions["pope_adversarial"] == []
    assert set(counts(questions["pope_random"])) == {"presence/1"}
    # An adversarial negative is of level 2 always: its share is not that of a level which never comes.
    assert len(chosen(scenes, {"presence": {1: 1, 2: 1}})["pope_adversarial"]) > 200


AT_PLACES = ("color", "shape", "presence")
PLACES: dict[str, dict[int, float]] = {ability: {1: 1, 2: 1, 3: 2} for ability in AT_PLACES}


def test_what_stands_at_a_place_is_asked_where_it_is_named(scenes: list[Scene]) -> None:
    plain, mixed = chosen(scenes, None), chosen(scenes, PLACES)
    assert not [name for questions in plain.values() for name in counts(questions) if name in {"color/3", "presence/3"}]
    for benchmark in ("vqav2", "pope_random", "pope_popular", "pope_adversarial"):
        by_slice = counts(mixed[benchmark])
        for ability in AT_PLACES:
            asked = {name: number for name, number in by_slice.items() if name.startswith(ability)}
            assert not asked or abs(asked[f"{ability}/3"] - sum(asked.values()) * share(benchmark)) <= 12, benchmark
    assert [mixed[name] == plain[name] for name in ("vsr", "textvqa", "refcoco")] == [True] * 3


def share(benchmark: str) -> float:
    return 2 / 3 if benchmark == "pope_adversarial" else 1 / 2  # which has no level 1


def test_questions_about_places_take_no_room_from_counting(scenes: list[Scene]) -> None:
    def counted(levels: Any) -> int:
        return sum(n for name, n in counts(chosen(scenes, levels)["vqav2"]).items() if name.startswith("count"))

    assert counted(PLACES) == pytest.approx(counted(None), rel=0.1)


@pytest.mark.parametrize("benchmark", ["pope_random", "pope_popular", "pope_adversarial"])
def test_the_words_of_a_place_give_no_answer_away(scenes: list[Scene], benchmark: Benchmark) -> None:
    asked = [item.question for item in chosen(scenes, PLACES)[benchmark] if item.question.level == 3]
    by_text: dict[str, Counter[str]] = {}
    for question in asked:
        by_text.setdefault(question.text, Counter())[question.answer] += 1
    assert len(asked) > 100
    assert all(abs(answers["yes"] - answers["no"]) <= 1 for answers in by_text.values())
    assert abs(sum(answers["yes"] - answers["no"] for answers in by_text.values())) <= 1


def test_the_hard_negative_of_a_place_stands_elsewhere(scenes: list[Scene]) -> None:
    asked = [item for item in chosen(scenes, PLACES)["pope_adversarial"] if item.question.level == 3]
    for item in asked:
        assert any(
            f" {thing.name} {item.question.other}?" in item.question.text for thing in scenes[item.index].objects
        )


def test_training_asks_about_places_where_it_is_named() -> None:
    places = dict.fromkeys(AT_PLACES, 3)
    images = [scene_of(0, "train", index) for index in range(300)]

    def asked(**levels: Any) -> Counter[str]:
        params = SceneParams.checked(train=300, max_level=levels)
        return Counter(name for _, names in train_rows(images, params) for name in names)

    assert not [name for name in asked() if name in {"color/3", "shape/3", "presence/3"}]
    assert asked() == asked(**dict.fromkeys(AT_PLACES, 2))
    with_places = asked(**places)
    assert min(with_places["color/3"], with_places["shape/3"], with_places["presence/3"]) > 50
    assert min(with_places["color/2"], with_places["shape/2"], with_places["presence/2"]) > 50
    for name in ("spatial/1", "reading/3", "count/2"):
        assert with_places[name] == pytest.approx(asked()[name], rel=0.25)


def test_a_world_with_places_has_a_name_of_its_own() -> None:
    # `max_level: 3` was allowed when these abilities had two levels, and asked for no places.
    assert identity(SceneParams.checked(max_level={"color": 3}))["trained_at_places"] == ["color"]
    assert "trained_at_places" not in identity(SceneParams.checked(max_level={"count": 3, "spatial": 3, "color": 2}))


def test_floors_at_places_are_those_of_guessing(tmp_path: Path) -> None:
    params = SceneParams.checked(
        train=400, val=0, test=400, disagreement=0.0, held_out_levels=PLACES, max_level=dict.fromkeys(AT_PLACES, 3)
    )
    world = scenes_dataset(params, tmp_path, workers=0)
    bounds = reach(world)
    for name in ("vqav2:color/3", "vqav2:shape/3"):
        assert bounds[name].floor == pytest.approx(100 / 6, abs=9), name
    for name in ("pope_random", "pope_popular", "pope_adversarial"):
        assert bounds[f"{name}:presence/3"].floor == pytest.approx(50, abs=7), name
    assert {"color/3", "shape/3"} <= set(ScenesSource(world).benchmarks("test")["attribute"].groups)


def test_every_ability_asks_the_levels_that_it_is_said_to_have(scenes: list[Scene]) -> None:
    for ability, levels in LEVELS.items():
        asked = {q.level for i, scene in enumerate(scenes) for q in ASK[ability](scene, image_rng(0, "test", i))}
        assert asked == set(levels), ability


def test_floors_and_ceilings_are_those_of_the_chosen_questions(tmp_path: Path) -> None:
    sizes = {"train": 300, "val": 0, "test": 200, "disagreement": 0.0}
    plain = scenes_dataset(SceneParams.checked(**sizes), tmp_path, workers=0)
    mixed = scenes_dataset(SceneParams.checked(**sizes, held_out_levels={"box": 1, "presence": 1}), tmp_path, workers=0)
    assert plain.folder != mixed.folder
    before, after = (ScenesSource(world).benchmarks("test")["boxes"] for world in (plain, mixed))
    assert set(after.groups) == set(after.group_floors) == {"box/1"}
    # Of four quarters a guess hits every fourth; of all places, hardly any.
    assert after.floor == pytest.approx(0.25, abs=0.08)
    assert before.floor is not None
    assert after.floor is not None
    assert before.floor < after.floor
    assert after.floor == reach(mixed)["refcoco"].floor / 100
    presence = ScenesSource(mixed).benchmarks("test")["presence"]
    assert set(presence.groups) == {"random", "popular"}
    assert presence.ceiling == 1.0
    assert mixed.rows == plain.rows, "training questions have levels of their own"
    assert SceneDataset(mixed.folder).params == mixed.params, "the manifest holds them"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"smell": {1: 1}}, r"held_out_levels\.smell.*'color', 'shape'"),
        ({"spatial": {1: None}}, r"held_out_levels\.spatial\.1: Input should be a valid number"),
        ({"spatial": {1: 0, 2: 0}}, "spatial: at least one level needs a weight above 0"),
        ({"spatial": {}}, "spatial: at least one level needs a weight above 0"),
        ({"spatial": {1: -1, 2: 2}}, "spatial: weights are finite numbers, 0 or more"),
        ({"spatial": {1: float("inf")}}, "spatial: weights are finite numbers, 0 or more"),
        ({"count": {3: 1}}, "count has no level 3; its levels: 1, 2"),
        ({"count": 3}, "count has no level 3; its levels: 1, 2"),
        ({"spatial": {4: 1}}, "4 is no level; levels are 1 to 3"),
        ({"spatial": {"easy": 1}}, "'easy' is no level; levels are 1 to 3"),
        ({"spatial": 10**12}, "the hardest level is a number from 1 to 3"),
        (0, "the hardest level is a number from 1 to 3"),
        ({"spatial": [1, 2]}, r"held_out_levels\.spatial: Input should be a valid (mapping|dictionary)"),
        (True, r"held_out_levels: Input should be a valid (mapping|dictionary)"),
    ],
)
def test_a_mix_that_cannot_be_is_named(levels: Any, message: str) -> None:
    with pytest.raises(CobraError, match=message):
        SceneParams.checked(held_out_levels=levels)


def test_a_recipe_may_have_a_mix(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "extends: cobra_tiny\ndata: {held_out_levels: {spatial: {1: 2, 2: 1}, box: 1}}\n", encoding="utf-8"
    )
    data = with_data(resolve(load_recipe(str(recipe)))).plain()["data"]
    assert data["held_out_levels"] == {"spatial": {"1": 2.0, "2": 1.0}, "box": {"1": 1.0}}
    assert SceneParams.checked(held_out_levels=data["held_out_levels"]).held_out_levels == {
        "spatial": {1: 2, 2: 1},
        "box": {1: 1},
    }
    # A study of before there was a mix has the same recipe as one of today.
    assert "held_out_levels" not in with_data(resolve(load_recipe("cobra_tiny"))).plain()["data"]
    recipe.write_text("extends: cobra_tiny\ndata: {held_out_levels: {count: {3: 1}}}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine.yaml:2: data.held_out_levels: count has no level 3; its levels: 1, 2"):
        with_data(resolve(load_recipe(str(recipe))))
