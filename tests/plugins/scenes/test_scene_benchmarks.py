"""The six abilities as benchmarks by themselves: the same questions as the source asks, with their protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit._plugins import Registry
from cobra_kit.errors import DataError
from cobra_kit.evaluate.scoring import get_rule
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.source import BENCHMARKS, World

PARAMS = SceneParams.checked(train=20, val=6, test=30)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path_factory.getbasetemp() / "scenes-benchmarks"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_an_ability_by_itself_asks_what_the_source_asks(registry: Registry, name: str) -> None:
    extension = registry.benchmark(f"scenes/{name}")
    assert extension == registry.benchmark(name)
    factory = extension.load_benchmark()
    assert extension.load_config() is SceneParams
    opened, source = factory.open(PARAMS), World.open(PARAMS)
    assert opened.benchmark == source.benchmarks("test")[name]
    assert opened.fingerprint == source.fingerprint
    assert opened.protocol == factory.protocol(PARAMS)
    assert opened.protocol.split == "test"
    assert get_rule(opened.protocol.rule).name == opened.benchmark.rule
    question = opened.benchmark.questions[0]
    assert (opened.protocol.decoding == "choices") == bool(question.choices)
    beginning, _, end = opened.protocol.prompt.partition("{question}")
    assert question.prompt.startswith(beginning)
    assert question.prompt.endswith(end)
    assert opened.images.image(question.image).size == (64, 64)


def test_another_split_and_none(registry: Registry, tmp_path: Path) -> None:
    factory = registry.benchmark("scenes/count").load_benchmark()
    assert factory.open(PARAMS, "val").protocol.split == "val"
    with pytest.raises(DataError, match=r"scenes: no split 'train'\n +There are val and test"):
        factory.protocol(PARAMS, "train")
    assert factory.files(PARAMS, root=tmp_path) == {}
