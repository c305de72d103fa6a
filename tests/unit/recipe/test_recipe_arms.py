"""Arms differ in the factor and nowhere else, after defaults."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from toy_components import WHOLE

from cobra_kit._plugins import Registry
from cobra_kit.recipe import ResolvedRecipe, arm_differences, load_recipe, resolve_arms

HEAD = "ablation:\n  factor: model.projector\n  reference: a\n  arms:\n    a: {}\n"
POOL = "    b: {model: {projector: {use: pool/mean}}}\n"


def arms_of(write: Callable[..., str], registry: Registry, text: str) -> dict[str, ResolvedRecipe]:
    return resolve_arms(load_recipe(write(text), registry=registry), registry)


def test_arms_resolve_apart(write: Callable[..., str], registry: Registry) -> None:
    arms = arms_of(write, registry, WHOLE + HEAD + POOL)
    assert list(arms) == ["a", "b"]
    assert arms["a"].plain()["model"]["projector"]["use"] == "map/mlp"
    assert arms["b"].plain()["model"]["projector"] == {"use": "pool/mean", "stride": 2}
    assert arms["b"].arm == "b"
    assert arms["b"].recipe.ablation is None
    changes = arm_differences(arms, "a")
    assert changes["a"] == []
    assert [(d.path, d.left, d.right) for d in changes["b"]] == [("model.projector.use", "map/mlp", "pool/mean")]


def test_no_ablation_no_arms(write: Callable[..., str], registry: Registry) -> None:
    assert arms_of(write, registry, WHOLE) == {}


def test_a_setting_written_as_its_default_is_no_difference(write: Callable[..., str], registry: Registry) -> None:
    body = "    b: {model: {projector: {use: pool/mean}, vision_encoder: {image_size: 64}}}\n"
    assert list(arms_of(write, registry, WHOLE + HEAD + body)) == ["a", "b"]


def test_short_names_equal_qualified_ones(refused: Callable[..., str]) -> None:
    text = refused(WHOLE + HEAD + "    b: {model: {projector: {use: mlp}}}\n")
    assert text == "mine.yaml:12: ablation.arms.b: equals the reference 'a'\n       change model.projector in it"


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (
            "    b: {model: {projector: {use: pool/mean}, backbone: {use: lm/base}}}\n",
            "mine.yaml:12: model.backbone.use: arm 'b' has \"lm/base\" but the reference 'a' has \"lm/tiny\" "
            "(mine.yaml:6)\n       arms may differ in model.projector only",
        ),
        (
            "    b:\n      model:\n        projector: {use: pool/mean}\n        vision_encoder: {image_size: 32}\n",
            "mine.yaml:15: model.vision_encoder.image_size: arm 'b' has 32 but the reference 'a' has 64 (the default)",
        ),
        ("    b: {}\n", "mine.yaml:12: ablation.arms.b: equals the reference 'a'"),
        (POOL + POOL.replace("b:", "c:"), "mine.yaml:13: ablation.arms.c: equals the arm 'b'"),
        ("    b: {seed: 3}\n", "mine.yaml:12: ablation.arms.b.seed: an arm cannot change this"),
        ("    b: {modle: {}}\n", "ablation.arms.b.modle: an arm cannot change this\n       did you mean model?"),
        ("    b: {model: {projector: {hiden: 3}}}\n", "model.projector.hiden: unknown key"),
        ("    b: {model: {projector: {use: no}}}\n", "mine.yaml:12: model.projector.use: no projector named 'no'"),
        (
            "    b: {evaluate: {batch_size: 3}}\n",
            "mine.yaml:12: ablation.arms.b.evaluate.batch_size: an arm cannot change this\n       it can change",
        ),
        ("    b: 3\n", "mine.yaml:12: ablation.arms.b: expected a mapping, found 3"),
        ("", "mine.yaml:10: ablation.arms: "),
        ("    a b: {}\n", "mine.yaml:12: ablation.arms.a b: expected it to match pattern"),
    ],
)
def test_arms_that_are_refused(refused: Callable[..., str], arms: str, expected: str) -> None:
    assert expected in refused(WHOLE + HEAD + arms)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("reference: a", "reference: aa", "mine.yaml:9: ablation.reference: no arm named 'aa'\n       did you mean a?"),
        (
            "model.projector",
            "model.projektor",
            "mine.yaml:8: ablation.factor: no path 'model.projektor' in the recipe\n"
            "       did you mean model.projector?",
        ),
        ("model.projector", "[1, 2]", "ablation.factor: expected a text or in a list, a text, found [1, 2]"),
        ("model.projector", "[]", "ablation.factor: expected at least one path"),
        ("factor: model.projector", "factor: [model.projector, modle]", "no path 'modle' in the recipe"),
        ("factor: model.projector", "seeds: [1, 1]", "expected different seeds, found [1, 1]"),
        ("factor: model.projector", "seed: [1]", "ablation.seed: unknown key"),
    ],
)
def test_ablation_settings_that_are_refused(refused: Callable[..., str], old: str, new: str, expected: str) -> None:
    assert expected in refused(WHOLE + HEAD.replace(old, new) + POOL)


def test_paper_rows_name_arms(refused: Callable[..., str]) -> None:
    text = refused(WHOLE + HEAD + POOL + "  paper: {table: v4_table5_ablation, rows: {c: full}}\n")
    assert text.startswith("mine.yaml:13: ablation.paper.rows.c: no arm named 'c'")


def test_a_factor_may_cover_several_paths(write: Callable[..., str], registry: Registry) -> None:
    head = HEAD.replace("model.projector", "[model.projector, model.backbone]")
    body = "    b: {model: {projector: {use: pool/mean}, backbone: {use: lm/base}}}\n"
    assert list(arms_of(write, registry, WHOLE + head + body)) == ["a", "b"]


def test_a_factor_may_be_one_setting(
    write: Callable[..., str], registry: Registry, refused: Callable[..., str]
) -> None:
    head = HEAD.replace("model.projector", "model.projector.hidden")
    assert list(arms_of(write, registry, WHOLE + head + "    b: {model: {projector: {hidden: 8}}}\n")) == ["a", "b"]
    text = refused(WHOLE + head + "    b: {model: {projector: {hidden: 8, depth: 3}}}\n")
    assert "model.projector.depth: arm 'b' has 3 but the reference 'a' has 2 (the default)" in text


def test_arms_may_differ_in_how_exactly_they_answer(
    write: Callable[..., str], registry: Registry, refused: Callable[..., str]
) -> None:
    head = HEAD.replace("model.projector", "evaluate.precision").replace("a: {}", "a: {evaluate: {precision: {}}}")
    body = "    b: {evaluate: {precision: {weights: int8}}}\n    c: {evaluate: {precision: {state: bfloat16}}}\n"
    arms = arms_of(write, registry, WHOLE + head + body)
    assert [arm.recipe.evaluate.precision.label for arm in arms.values() if arm.recipe.evaluate.precision] == [
        "weights trained, state kept",
        "weights int8, state kept",
        "weights trained, state bfloat16",
    ]
    assert "expected 'trained', 'float32', 'bfloat16' or 'int8', found \"int4\"" in refused(
        WHOLE + head + body.replace("int8", "int4")
    )
    mixed = body.replace("precision: {weights: int8}", "precision: {weights: int8}}, model: {projector: {hidden: 3}")
    assert "arms may differ in evaluate.precision only" in refused(WHOLE + head + mixed)


def test_profiles_and_set_reach_into_arms(write: Callable[..., str], registry: Registry) -> None:
    profiles = "profiles:\n  laptop: {}\n  paper: {ablation: {arms: {b: {model: {projector: {use: map/wide}}}}}}\n"
    name = write(WHOLE + HEAD + POOL + profiles)
    paper = resolve_arms(load_recipe(name, profile="paper", registry=registry), registry)
    assert paper["b"].parts["projector"].component.qualified == "map/wide"
    override = "ablation.arms.b.model.projector.stride=4"
    laptop = resolve_arms(load_recipe(name, overrides=[override], registry=registry), registry)
    assert laptop["b"].plain()["model"]["projector"] == {"use": "pool/mean", "stride": 4}


def test_arms_may_differ_in_their_source_of_data(write: Callable[..., str], registry: Registry) -> None:
    head = HEAD.replace("model.projector", "data.source")
    other = "    b: {data: {source: llava, rows: r.json, images: i}}\n"
    arms = arms_of(write, registry, WHOLE + "data: {source: scenes, train: 9}\n" + head + other)
    assert arms["b"].plain()["data"] == {"source": "llava", "rows": "r.json", "images": "i"}
    assert [d.path for d in arm_differences(arms, "a")["b"]] == ["data.source"]
