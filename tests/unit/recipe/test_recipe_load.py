"""What a recipe becomes: extends, then the profile, then --set; the resolved text reads back to the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_components import WHOLE, toy_registry

from cobra_kit._plugins import PluginRecord, Registry
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import Recipe, differences, flatten, json_schema, load_recipe, resolve, resolve_arms
from cobra_kit.recipe.merge import merge
from cobra_kit.recipe.schema import Part
from cobra_kit.recipe.yaml_reader import dump_yaml, parse_yaml

TREES = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    | st.fixed_dictionaries({"use": st.sampled_from(["p/x", "p/y", "x"])}, optional={"d": inner, "e": inner}),
    max_leaves=12,
)  # fmt: skip


def merged(base: str, overlay: str) -> Any:
    return merge(parse_yaml(base, "base"), parse_yaml(overlay, "overlay")).plain()


@pytest.mark.parametrize(
    ("base", "overlay", "expected"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {c: 3, d: 4}}", {"a": {"b": 1, "c": 3, "d": 4}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: {b: 1}}", "{a: null}", {"a": None}),
        ("{a: {use: p/x, k: 1}}", "{a: {use: p/y, l: 2}}", {"a": {"use": "p/y", "l": 2}}),
        ("{a: {use: p/x, k: 1}}", "{a: {use: p/x, l: 2}}", {"a": {"use": "p/x", "k": 1, "l": 2}}),
        ("{a: {use: p/x, k: 1}}", "{a: {use: x, l: 2}}", {"a": {"use": "x", "k": 1, "l": 2}}),
        ("{a: {use: p/x, k: 1}}", "{a: {k: 2}}", {"a": {"use": "p/x", "k": 2}}),
        ("{a: {k: 1}}", "{a: {use: p/y}}", {"a": {"k": 1, "use": "p/y"}}),
        ("{data: {source: x, k: 1}}", "{data: {source: y, l: 2}}", {"data": {"source": "y", "l": 2}}),
        ("{data: {source: x, k: 1}}", "{data: {source: x, l: 2}}", {"data": {"source": "x", "k": 1, "l": 2}}),
        ("{data: {source: x, k: 1}}", "{data: {k: 2}}", {"data": {"source": "x", "k": 2}}),
        (
            "{profiles: {p: {data: {source: x, k: 1}}}}",
            "{profiles: {p: {data: {source: y}}}}",
            {"profiles": {"p": {"data": {"source": "y"}}}},
        ),
        (
            "{ablation: {arms: {a: {data: {source: x, k: 1}}}}}",
            "{ablation: {arms: {a: {data: {source: y}}}}}",
            {"ablation": {"arms": {"a": {"data": {"source": "y"}}}}},
        ),
        # `source` is the data's word; a component may have a setting of that name.
        ("{a: {use: p/x, source: 1}}", "{a: {source: 2}}", {"a": {"use": "p/x", "source": 2}}),
    ],
)
def test_merge_rules(base: str, overlay: str, expected: Any) -> None:
    assert merged(base, overlay) == expected


@given(TREES, TREES)
def test_merging_is_deterministic_and_keeps_its_inputs(base: Any, overlay: Any) -> None:
    a, b = parse_yaml(dump_yaml(base), "a"), parse_yaml(dump_yaml(overlay), "b")
    before = copy.deepcopy((a, b))
    once, twice = merge(a, b), merge(a, b)
    assert once == twice
    assert (a, b) == before
    assert merge(once, b).plain() == once.plain()  # laying the same changes over it again changes nothing


def test_order_is_extends_profile_set(write: Callable[..., str], registry: Registry) -> None:
    profiles = "profiles:\n  laptop: {seed: 2}\n  paper: {seed: 3}\n"
    write(f"seed: 1\n{WHOLE}{profiles}", "base.yaml")
    name = write("extends: base.yaml\ntitle: Mine\nseed: 10\nmodel: {projector: {depth: 5}}\n")
    recipe = load_recipe(name, registry=registry)
    assert (recipe.seed, recipe.title, recipe.profile, recipe.name) == (2, "Mine", "laptop", "mine")
    assert recipe.part("projector").settings() == {"hidden": 16, "depth": 5}
    assert load_recipe(name, profile="paper", registry=registry).seed == 3
    assert load_recipe(name, overrides=["seed=4", "seed=5"], registry=registry).seed == 5


def test_origins_survive_every_merge(write: Callable[..., str], registry: Registry) -> None:
    write(WHOLE, "base.yaml")
    name = write("extends: base.yaml\nprofiles:\n  laptop:\n    model: {projector: {depth: 3}}\n")
    recipe = load_recipe(name, overrides=["model.backbone.use=lm/base"], registry=registry)
    assert str(recipe.origin("model.projector.hidden")) == "base.yaml:4"
    assert str(recipe.origin("model.projector.depth")) == "mine.yaml:4"
    assert str(recipe.origin("model.backbone.use")) == "--set model.backbone.use=lm/base"


def test_set_of_another_component_drops_the_old_settings(write: Callable[..., str], registry: Registry) -> None:
    overrides = ["model.projector.use=pool/mean", "model.projector.stride=3"]
    recipe = load_recipe(write(WHOLE), overrides=overrides, registry=registry)
    assert resolve(recipe, registry).plain()["model"]["projector"] == {"use": "pool/mean", "stride": 3}


def test_a_setting_may_be_set_before_the_component_it_belongs_to(write: Callable[..., str], registry: Registry) -> None:
    overrides = ["model.projector.stride=3", "model.projector.use=pool/mean"]
    recipe = load_recipe(write(WHOLE), overrides=overrides, registry=registry)
    assert resolve(recipe, registry).plain()["model"]["projector"] == {"use": "pool/mean", "stride": 3}


def test_a_value_and_a_key_below_it_contradict_each_other(write: Callable[..., str], registry: Registry) -> None:
    message = "^--set train.align.steps=2: contradicts --set train.align=null"
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(WHOLE), overrides=["train.align=null", "train.align.steps=2"], registry=registry)


@pytest.mark.parametrize("where", ["extends", "profile", "set"])
def test_another_data_source_drops_the_settings_of_the_old_one(
    write: Callable[..., str], registry: Registry, where: str
) -> None:
    data = "data: {source: scenes, train: 9, val: 1}\n"
    if where == "set":
        overrides = ["data.rows=r.json", "data.source=llava", "data.images=i"]
        recipe = load_recipe(write(WHOLE + data), overrides=overrides, registry=registry)
    else:
        write(WHOLE + data, "base.yaml")
        own = "data: {source: llava, rows: r.json, images: i}"
        text = own if where == "extends" else f"profiles: {{laptop: {{{own}}}}}"
        recipe = load_recipe(write(f"extends: base.yaml\n{text}\n"), registry=registry)
    assert recipe.data is not None
    assert recipe.data.source == "llava"
    assert recipe.data.settings() == {"rows": "r.json", "images": "i"}


def test_resolving_qualifies_names_and_locks_versions(write: Callable[..., str], registry: Registry) -> None:
    resolved = resolve(load_recipe(write(WHOLE.replace("map/mlp", "mlp")), registry=registry), registry)
    assert resolved.plain()["model"]["projector"]["use"] == "map/mlp"
    assert resolved.lock() == {name: "toys 1.0" for name in ("see/small", "map/mlp", "mix/first", "lm/tiny")}


@settings(max_examples=40, deadline=None)
@given(
    image_size=st.integers(1, 99) | st.tuples(st.integers(), st.integers()).map(list),
    dropout=st.floats(0, 1),
    norm=st.none() | st.sampled_from(["1e-3", "yes", "null", "", "x: y", "\u2028", "é"]),
    layers=st.lists(st.integers(0, 5), max_size=3),
    other=st.sampled_from([{"use": "pool/mean"}, {"use": "mlp", "depth": 9}, {"use": "map/wide", "norm": "no"}]),
)  # fmt: skip
def test_resolved_text_reads_back_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, image_size: Any, dropout: float, norm: Any, layers: Any, other: Any
) -> None:
    registry = toy_registry()
    tree: Any = parse_yaml(WHOLE, "x").plain()
    tree["model"]["vision_encoder"]["image_size"] = image_size
    tree["model"]["projector"] |= {"dropout": dropout, "norm": norm}
    tree["model"]["backbone"]["layers"] = layers
    arms = {"a": None, "b": {"model": {"projector": other}}}
    tree["ablation"] = {"factor": "model.projector", "reference": "a", "arms": arms}
    folder = tmp_path_factory.mktemp("round")
    (folder / "first.yaml").write_text(dump_yaml(tree), encoding="utf-8")
    first = resolve(load_recipe(folder / "first.yaml", registry=registry), registry)
    (folder / "second.yaml").write_text(first.to_yaml(), encoding="utf-8")
    second = resolve(load_recipe(folder / "second.yaml", registry=registry), registry)
    assert json.dumps(second.plain()) == json.dumps(first.plain())
    assert second.to_yaml() == first.to_yaml()
    for arm, resolved in resolve_arms(first.recipe, registry).items():
        assert resolve_arms(second.recipe, registry)[arm].plain() == resolved.plain()


def test_plugin_recipes_are_found_by_plugin_and_name(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "demo.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "more.yaml").write_text("extends: toys/demo\nseed: 3\n", encoding="utf-8")
    recipes = {"demo": tmp_path / "demo.yaml", "more": tmp_path / "more.yaml"}
    record = PluginRecord("toys", "toys 1.0", "v1", "toys", "ok", recipes=recipes)
    both = Registry([*registry.records, record])
    assert load_recipe("toys/demo", registry=both).title == "Toy"
    assert load_recipe("toys/more", registry=both).seed == 3


def test_flat_maps_and_differences() -> None:
    left = {"a": {"b": 1, "c": []}, "use": "x", "p": {"use": "k/x", "n": 1}}
    right = {"a": {"b": 1.0, "c": [], "d": {}}, "use": "x", "p": {"use": "k/y", "m": 1}}
    assert flatten(left) == {"a.b": 1, "a.c": [], "use": "x", "p.use": "k/x", "p.n": 1}
    assert [d.path for d in differences(left, right)] == ["a.b", "p.use", "a.d"]


def test_recipes_made_or_changed_in_python_resolve_as_they_stand(write: Callable[..., str], registry: Registry) -> None:
    plain: Any = parse_yaml(WHOLE, "x").plain()
    made = Recipe.model_validate(plain)
    assert resolve(made, registry).plain()["model"]["projector"]["hidden"] == 16
    loaded = load_recipe(write(WHOLE), registry=registry)
    part = Part.model_validate({"use": "pool/mean", "stide": 3})
    changed = loaded.model_copy(update={"model": loaded.model.model_copy(update={"projector": part})})
    with pytest.raises(RecipeError, match=r"^mine: model\.projector\.stide: unknown key"):
        resolve(changed, registry)
    assert resolve(loaded, registry).parts["projector"].component.qualified == "map/mlp"


def test_schema_describes_every_field_and_requires_none() -> None:
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    fields = [field for section in sections for field in section.get("properties", {}).values()]
    assert {"extends", "profiles", "model", "ablation", "requires", "seed"} <= set(schema["properties"])
    assert all("required" not in section for section in sections)
    assert all("description" in field for field in fields)
    assert not schema["additionalProperties"]
