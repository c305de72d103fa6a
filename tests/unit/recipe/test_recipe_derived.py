"""Sizes that follow from a recipe's parts: what is remembered, and what makes it forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_recipe import RECIPE

from cobra_kit import _plugins
from cobra_kit.cli.recipes_derived import derived_sizes
from cobra_kit.errors import CobraError, ShapeError
from cobra_kit.hashing import environment
from cobra_kit.model import building
from cobra_kit.recipe import DerivedSizes, load_recipe, remember_sizes, remembered_sizes, resolve, sizes_key

TOY = Path(__file__).parents[2] / "toy_plugin.py"
SAYS_SO = """
for part in (ToyEncoder, ToyProjector, SeparatorFusion, ToyBackbone):
    part.sizes_follow_config = classmethod(lambda cls, config: True)
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "derived-sizes"


@pytest.fixture
def toy(tmp_path, cache):
    """Returns a function that resolves a recipe of toy parts, which say that their configs decide, or else."""

    def resolved(code=SAYS_SO, overrides=()):
        (tmp_path / "toy_plugin.py").write_text(TOY.read_text() + code)
        (tmp_path / "toy.yaml").write_text(RECIPE)
        _plugins.configure(files=[tmp_path / "toy_plugin.py"])
        return resolve(load_recipe(tmp_path / "toy.yaml", overrides=overrides))

    return resolved


@pytest.fixture
def builds(monkeypatch):
    """Returns a list that grows with every model that is built."""
    calls = []
    build = building.build_sizes
    monkeypatch.setattr(building, "build_sizes", lambda resolved: calls.append(resolved) or build(resolved))
    return calls


def test_a_second_look_builds_nothing(toy, builds):
    first = derived_sizes(toy())
    assert derived_sizes(toy()) == first
    assert len(builds) == 1


def test_another_setting_or_another_code_is_built_anew(toy, builds):
    derived_sizes(toy())
    assert derived_sizes(toy(overrides=["model.vision_encoder.width=9"])).visual_width == 9
    derived_sizes(toy(SAYS_SO + "\n# edited"))
    assert len(builds) == 3


def test_another_package_is_looked_for_anew(toy, builds, monkeypatch):
    derived_sizes(toy())
    names = environment._names
    monkeypatch.setattr(environment, "_names", lambda place: [*names(place), "timm-99.0.dist-info"])
    environment.environment_fingerprint.cache_clear()
    try:
        derived_sizes(toy())
    finally:
        environment.environment_fingerprint.cache_clear()
    assert len(builds) == 2


def test_parts_that_may_read_files_are_built_every_time(toy, builds, cache):
    for _ in range(2):
        derived_sizes(toy(code=""))
    assert len(builds) == 2
    assert not cache.exists()


def test_code_that_was_edited_since_its_import_is_not_remembered(toy, builds, cache, tmp_path):
    resolved = toy()
    for part in resolved.parts.values():
        part.component.load_class()
    with (tmp_path / "toy_plugin.py").open("a") as file:
        file.write("\n# edited after the import\n")
    derived_sizes(resolved)
    assert not cache.exists()


def test_errors_are_found_every_time(toy):
    for _ in range(2):
        with pytest.raises(ShapeError, match="toy"):
            derived_sizes(toy(overrides=["model.projector.max_tokens=1"]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda text: text.replace('"hidden_size": 10', '"hidden_size": 99'),
        lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "sha256"}),
        lambda text: "[]",
    ],
    ids=["cut", "another number", "no digest", "a list"],
)
def test_a_damaged_memory_is_built_anew(toy, builds, cache, damage):
    first = derived_sizes(toy())
    (file,) = cache.iterdir()
    damaged = damage(file.read_text())
    assert damaged != file.read_text()
    file.write_text(damaged)
    assert derived_sizes(toy()) == first
    assert derived_sizes(toy()) == first
    assert len(builds) == 2


def test_a_cache_that_cannot_be_written_is_told_about(toy, cache, caplog):
    cache.parent.mkdir()
    cache.write_text("a file in its place")
    assert derived_sizes(toy()).hidden_size == 10
    assert "derived sizes are not kept" in caplog.text


def test_without_a_place_for_caches_it_is_built(toy, monkeypatch, caplog):
    def nowhere():
        raise CobraError("there is no place for caches")

    monkeypatch.setattr("cobra_kit.recipe.derived.user_cache", nowhere)
    assert derived_sizes(toy()).hidden_size == 10
    assert "there is no place for caches" in caplog.text


def test_the_oldest_are_forgotten(cache, monkeypatch):
    monkeypatch.setattr("cobra_kit.recipe.derived.MOST_MODELS", 3)
    for number in range(5):
        remember_sizes(str(number), DerivedSizes(1, 2, 3, 4, number))
    assert len(list(cache.iterdir())) == 3
    assert remembered_sizes("4") == DerivedSizes(1, 2, 3, 4, 4)


def test_code_that_cannot_be_read_has_no_key(toy, monkeypatch):
    def unreadable(*_):
        raise CobraError("the source file cannot be read")

    monkeypatch.setattr("cobra_kit._plugins.declared.sources_fingerprint", unreadable)
    assert sizes_key(toy()) is None


def test_what_is_known_is_what_is_built(toy):
    """Of the parts that come with us: the sum of the parts is the model's own count."""
    from cobra_kit.model import compose

    for name in ("cobra_tiny", "ablation_backbone", "ablation_fusion"):
        resolved = resolve(load_recipe(name))
        model = compose(resolved, device="meta")
        sizes = building.build_sizes(resolved)
        assert sizes.parameters == sum(parameter.numel() for parameter in model.parameters())
        assert (sizes.visual_width, sizes.hidden_size) == (model.vision_encoder.width, model.backbone.hidden_size)
        assert sizes.image_tokens == model.image_tokens().num_tokens
