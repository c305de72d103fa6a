from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from fake_packages import write_package

from cobra_kit._plugins import Component, Registry
from cobra_kit.errors import NotFinishedError, PluginError
from cobra_kit.plugin import ProjectorSpec

PLUGIN = """
from cobra_kit.plugin import ProjectorSpec, hookimpl

@hookimpl
def cobra_projectors():
    yield ProjectorSpec(name="mean", summary="", target="fake_parts:Mean", config="fake_parts:MeanConfig")
"""
PARTS = """
from pydantic import BaseModel, ConfigDict
from cobra_kit.config import ComponentConfig
from cobra_kit.interfaces import Projector

class Mean(Projector):
    def __init__(self, config, *, in_width, max_shape, out_width): ...
    @classmethod
    def output_shape(cls, config, shape): ...
    def forward(self, tokens): ...
    def reset_parameters(self, generator=None): ...

class MeanConfig(ComponentConfig):
    power: int = 1

class Half(Projector):
    def forward(self, tokens): ...

class Strange: ...

class Loose(BaseModel):
    power: int = 1

a_function = len
"""


@pytest.fixture
def component(site: Path) -> Component:
    write_package(site, "fake-pool", plugins={"pool": "fake_pool"}, modules={"fake_pool": PLUGIN, "fake_parts": PARTS})
    return Registry.discover().get("projector", "pool/mean")


def changed(component: Component, **changes: Any) -> Component:
    fields = {"name": "mean", "summary": "", "target": "fake_parts:Mean", "config": "fake_parts:MeanConfig"}
    spec = ProjectorSpec(**{**fields, **changes})
    return Component(component.kind, component.plugin, component.distribution, spec)


def test_class_and_config_are_imported_only_when_asked_for(component: Component) -> None:
    assert "fake_parts" not in sys.modules
    assert component.load_class().__name__ == "Mean"
    assert component.load_config()().model_dump() == {"power": 1}


PREFIX = "projector 'pool/mean' (fake-pool 1.0)"
NOT_A_CLASS: dict[str, tuple[str, str]] = {
    "no module": ("fake_nowhere:X", ": cannot import target fake_nowhere:X: No module named 'fake_nowhere'"),
    "no class": (
        "fake_parts:Meen",
        ": cannot import target fake_parts:Meen: module fake_parts has no 'Meen'\n       did you mean Mean?",
    ),
    "another class": (
        "fake_parts:Strange",
        ": target fake_parts:Strange must be a subclass of cobra_kit.interfaces.Projector, not the class Strange",
    ),
    "another kind": (
        "cobra_kit.interfaces:Backbone",
        ": target cobra_kit.interfaces:Backbone must be a subclass of cobra_kit.interfaces.Projector, "
        "not the class Backbone",
    ),
    "no class at all": (
        "fake_parts:a_function",
        ": target fake_parts:a_function must be a subclass of cobra_kit.interfaces.Projector, "
        "not a builtin_function_or_method",
    ),
    "incomplete": (
        "fake_parts:Half",
        ": target fake_parts:Half does not implement __init__, output_shape, reset_parameters",
    ),
}


@pytest.mark.parametrize(("target", "error"), NOT_A_CLASS.values(), ids=NOT_A_CLASS)
def test_errors_of_a_class(component: Component, target: str, error: str) -> None:
    with pytest.raises(PluginError) as caught:
        changed(component, target=target).load_class()
    assert str(caught.value) == PREFIX + error


NOT_A_CONFIG: dict[str, tuple[str, str]] = {
    "no module": ("fake_nowhere:X", ": cannot import config fake_nowhere:X: No module named 'fake_nowhere'"),
    "no model": ("fake_parts:Strange", ": config fake_parts:Strange must be a pydantic model, not the class Strange"),
    "takes anything": (
        "fake_parts:Loose",
        ": config fake_parts:Loose must forbid unknown keys\n"
        "       derive it from cobra_kit.config.ComponentConfig, or set extra='forbid' in its model_config",
    ),
}


@pytest.mark.parametrize(("config", "error"), NOT_A_CONFIG.values(), ids=NOT_A_CONFIG)
def test_errors_of_a_config(component: Component, config: str, error: str) -> None:
    with pytest.raises(PluginError) as caught:
        changed(component, config=config).load_config()
    assert str(caught.value) == PREFIX + error


@pytest.mark.parametrize("source", ["1 / 0", "raise SystemExit(4)"])
def test_a_component_module_that_raises_or_exits(component: Component, site: Path, source: str) -> None:
    (site / "fake_bad.py").write_text(source)
    with pytest.raises(PluginError, match=r"cannot import target fake_bad:X: (ZeroDivisionError|it called exit\(4\))"):
        changed(component, target="fake_bad:X").load_class()


def test_a_component_module_that_prints(component: Component, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "fake_loud.py").write_text("print('welcome')\nfrom fake_parts import *")
    changed(component, config="fake_loud:MeanConfig").load_config()
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "welcome\n")


def test_requirements_are_checked_before_anything_is_imported(component: Component) -> None:
    requires = ("not-there>=1.5", "pluggy>=99", "pluggy>=1", "not-there; python_version<'3'")
    demanding = changed(component, target="fake_nowhere:X", requires=requires)
    pluggy = version("pluggy")
    for load in (demanding.load_class, demanding.load_config):
        with pytest.raises(PluginError) as caught:
            load()
        assert str(caught.value) == (
            f"{PREFIX} needs not-there>=1.5 (not installed), pluggy>=99 ({pluggy} is installed)\n"
            "       pip install 'not-there>=1.5' 'pluggy>=99'"
        )
    assert demanding.load_config(check_requires=False).__name__ == "MeanConfig"
    assert "fake_nowhere" not in sys.modules


def test_an_unfinished_component_has_a_config_and_no_class(component: Component) -> None:
    unfinished = changed(component, target="fake_nowhere:X", unfinished="its weights are not converted; use pool/mean")
    with pytest.raises(NotFinishedError) as caught:
        unfinished.load_class()
    assert str(caught.value) == (f"{PREFIX} is not finished yet\n       its weights are not converted; use pool/mean")
    assert unfinished.load_config().__name__ == "MeanConfig"
