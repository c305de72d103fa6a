from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import pytest
from fake_packages import projector_module, write_package

from cobra_kit._plugins import Registry, configure, default_registry, metadata_registry
from cobra_kit.errors import PluginError

FILE = '''
from cobra_kit.config import ComponentConfig
from cobra_kit.plugin import ProjectorSpec, hookimpl

class MeanConfig(ComponentConfig):
    """No settings."""

@hookimpl
def cobra_projectors():
    yield ProjectorSpec(name="mean", summary="", target=f"{__name__}:Mean", config=f"{__name__}:MeanConfig")
'''


@pytest.fixture
def file(site: Path, tmp_path: Path) -> Path:
    path = tmp_path / "my_projector.py"
    path.write_text(FILE)
    return path


def test_a_file_is_a_plugin(file: Path) -> None:
    registry = Registry.discover(files=[file])
    component = registry.get("projector", "my-projector/mean")
    assert component.distribution == str(file)
    assert registry.records[0].file == str(file)
    config = component.load_config()
    assert config.__module__ in sys.modules
    assert pickle.loads(pickle.dumps(config())) == config()


def test_a_file_is_loaded_once_and_without_installed_plugins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("COBRA_KIT_PLUGINS", "")
    registry = Registry.discover(files=[Path(file.name), file], enabled=False)
    assert [(record.plugin, record.status) for record in registry.records] == [("my-projector", "ok")]


def test_two_files_of_one_name_do_not_mix(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / file.name
    other.parent.mkdir()
    other.write_text(FILE)
    registry = Registry.discover(files=[file, other])
    assert len({record.module for record in registry.records}) == 2
    with pytest.raises(PluginError) as caught:
        registry.get("projector", "mean")
    assert str(caught.value).startswith(f"plugin id 'my-projector' is claimed by {file} and {other}\n")


def test_a_file_and_a_package_with_one_id(file: Path, site: Path) -> None:
    write_package(site, "fake-one", plugins={"my-projector": "fake_one"}, modules={"fake_one": projector_module("x")})
    with pytest.raises(PluginError, match=re.escape(f"is claimed by fake-one 1.0 and {file}")):
        Registry.discover(files=[file]).get("projector", "my-projector/mean")


def test_a_changed_file_is_read_again(file: Path) -> None:
    Registry.discover(files=[file])
    file.write_text(FILE.replace('name="mean"', 'name="median-of-all"'))
    assert Registry.discover(files=[file]).components()[0].spec.name == "median-of-all"


def test_a_file_that_raises_is_broken_and_leaves_no_module(file: Path) -> None:
    file.write_text("1 / 0")
    record = Registry.discover(files=[file]).records[0]
    assert (record.status, record.error) == ("broken", "ZeroDivisionError: division by zero")
    assert record.module not in sys.modules


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nothere.py", "plugin file {path} does not exist\n       --plugin takes one .py file"),
        (".", "plugin file {path} is a folder, not a file\n       --plugin takes one .py file"),
        ("My Projector.py", "plugin file {path} has a name that makes no plugin id\n       name it with lower-case"),
        ("plugin.txt", "plugin file {path} has a name that makes no plugin id\n       name it with lower-case"),
    ],
)
def test_errors_of_a_file(site: Path, tmp_path: Path, name: str, error: str) -> None:
    path = tmp_path / name
    if name not in ("nothere.py", "."):
        path.write_text(FILE)
    with pytest.raises(PluginError) as caught:
        Registry.discover(files=[path])
    assert str(caught.value).startswith(error.format(path=path))


def test_the_default_registry_is_made_once_and_again_when_configured(file: Path) -> None:
    try:
        configure(files=[file])
        assert metadata_registry().records[0].status == "found"
        assert default_registry() is default_registry()
        assert [record.plugin for record in default_registry().records] == ["my-projector"]
        configure()
        assert default_registry().records == []
    finally:
        configure()
