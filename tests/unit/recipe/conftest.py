from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from toy_components import toy_registry

from cobra_kit._plugins import Registry
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe, resolve, resolve_arms


@pytest.fixture(scope="session")
def registry() -> Registry:
    return toy_registry()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a recipe into the working directory and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write_file(text: str | bytes, name: str = "mine.yaml") -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write_file


def _load_and_resolve(name: str, profile: str | None, overrides: Sequence[str], registry: Registry) -> None:
    recipe = load_recipe(name, profile=profile, overrides=overrides, registry=registry)
    resolve(recipe, registry)
    resolve_arms(recipe, registry)


@pytest.fixture
def refused(write: Callable[..., str], registry: Registry) -> Callable[..., str]:
    """Writes a recipe that must be refused, and returns the error's text."""

    def error_of(text: str | bytes, *overrides: str, profile: str | None = None) -> str:
        name = write(text)
        with pytest.raises(RecipeError) as caught:
            _load_and_resolve(name, profile, overrides, registry)
        return str(caught.value)

    return error_of
