from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest
from fake_packages import projector_module, write_package

from cobra_kit import __version__
from cobra_kit._plugins import PluginRecord, Registry
from cobra_kit.errors import PluginError


def one_plugin(site: Path, source: str) -> None:
    write_package(site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": source})


def only(registry: Registry) -> PluginRecord:
    assert len(registry.records) == 1
    return registry.records[0]


def test_nothing_installed_is_an_empty_registry(site: Path) -> None:
    assert Registry.discover().records == []


def test_a_third_party_plugin_is_found_through_its_entry_point(site: Path) -> None:
    one_plugin(site, projector_module("fake_one"))
    record = only(Registry.discover())
    assert (record.status, record.error, record.distribution) == ("ok", "", "fake-one 1.0")
    assert [component.qualified for component in record.components] == ["one/mean"]
    assert record.file == str(site / "fake_one.py")


def test_a_package_that_is_not_a_plugin_is_not_looked_at(site: Path) -> None:
    write_package(site, "fake-other", plugins={"x": "fake_other"}, modules={}, group="pytest11")
    assert Registry.discover().records == []


def test_records_are_sorted_by_package_and_id(site: Path) -> None:
    for package, plugins in {"fake-b": ["z", "a"], "fake-a": ["m"]}.items():
        modules = {f"fake_{name}": projector_module(f"fake_{name}") for name in plugins}
        write_package(site, package, plugins={name: f"fake_{name}" for name in plugins}, modules=modules)
    assert [record.plugin for record in Registry.discover().records] == ["m", "a", "z"]


BROKEN = {
    "raises": ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
    "missing module": ("import einops_that_is_not_there", "No module named 'einops_that_is_not_there'"),
    "exits": ("raise SystemExit(3)", "it called exit(3) while being imported"),
    "exits quietly": ("import sys; sys.exit()", "it called exit() while being imported"),
    "syntax": ("def", "SyntaxError: invalid syntax (fake_one.py, line 1)"),
    "no hook": ("x = 1", "it implements no hook; the hooks are cobra_vision_encoders, cobra_projectors, "),
    "hook without marker": ("def cobra_projectors(): return []", "'cobra_projectors' is not marked with @hookimpl"),
    "misspelled hook": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef cobra_projector(): return []",
        "unknown hook 'cobra_projector', did you mean 'cobra_projectors'?",
    ),
    "strange hook": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef zzz(): return []",
        "unknown hook 'zzz'",
    ),
    "hook with an argument": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef cobra_projectors(app): return []",
        "Argument(s) {'app'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "wrong kind of spec": (
        projector_module("fake_one").replace("cobra_projectors", "cobra_backbones"),
        "cobra_backbones returned a ProjectorSpec, expected BackboneSpec",
    ),
    "not a list": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef cobra_projectors(): return 3",
        "cobra_projectors returned a int, expected an iterable of ProjectorSpec",
    ),
    "forgotten return": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef cobra_projectors(): pass",
        "cobra_projectors returned None, expected an iterable of ProjectorSpec",
    ),
    "hook raises": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef cobra_projectors(): return [1 / 0]",
        "ZeroDivisionError: division by zero",
    ),
    "bad name": (projector_module("fake_one", "Mean_Pool"), "bad component name 'Mean_Pool'"),
    "duplicate name": (
        projector_module("fake_one")
        + "    yield ProjectorSpec(name='mean', summary='another', target='a:B', config='a:C')\n",
        "it declares the component 'mean' twice",
    ),
    "duplicate name of another kind": (
        projector_module("fake_one")
        + "from cobra_kit.plugin import FusionSpec\n@hookimpl\ndef cobra_fusion_schemes():\n"
        + "    yield FusionSpec(name='mean', summary='another', target='a:B', config='a:C')\n",
        "it declares the component 'mean' twice",
    ),
    "malformed requirement": (
        projector_module("fake_one").replace("summary=", "requires=('timm >>> 1',), summary="),
        "requires of 'mean': 'timm >>> 1' is not a requirement",
    ),
    "requirements as a string": (
        projector_module("fake_one").replace("summary=", "requires='timm', summary="),
        "requires of 'mean' must be a tuple of requirements, not a string",
    ),
    "recipe that is no file": (
        "from cobra_kit.plugin import hookimpl\n@hookimpl\ndef cobra_recipes(): return ['a.yaml']",
        "cobra_recipes returned 'a.yaml', expected a readable file (Traversable or Path)",
    ),
    "recipe that is no YAML": (
        "from pathlib import Path\nfrom cobra_kit.plugin import hookimpl\n"
        "@hookimpl\ndef cobra_recipes(): return [Path(__file__)]",
        "cobra_recipes returned 'fake_one.py', expected a .yaml file",
    ),
}


@pytest.mark.parametrize(("source", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_costs_one_line_and_nothing_else(
    site: Path, capsys: pytest.CaptureFixture[str], source: str, error: str
) -> None:
    one_plugin(site, source)
    write_package(site, "fake-two", plugins={"two": "fake_two"}, modules={"fake_two": projector_module("fake_two")})
    registry = Registry.discover()
    broken, good = registry.records
    assert (broken.status, broken.components) == ("broken", ())
    assert error in broken.error
    assert "\n" not in broken.error
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"warning: plugin one (fake-one 1.0) is broken: {broken.error}\n"
    assert good.status == "ok"
    assert registry.get("projector", "mean").qualified == "two/mean"


def test_entry_point_to_a_missing_module(site: Path) -> None:
    write_package(site, "fake-one", plugins={"one": "fake_nowhere"}, modules={})
    assert only(Registry.discover()).error == "No module named 'fake_nowhere'"


def test_bad_plugin_id(site: Path) -> None:
    write_package(site, "fake-one", plugins={"My_Plugin": "fake_one"}, modules={"fake_one": "raise SystemExit"})
    assert only(Registry.discover()).error == (
        "bad plugin id 'My_Plugin': lower-case letters and digits, joined by '-' or '.'"
    )


def test_malformed_entry_points_file(site: Path) -> None:
    write_package(site, "fake-one", plugins={}, modules={})
    (site / "fake_one-1.0.dist-info" / "entry_points.txt").write_text("[cobra_kit.v1]\nnonsense\n")
    record = only(Registry.discover())
    assert (record.plugin, record.status) == ("fake-one", "broken")
    assert record.error.startswith("malformed entry_points.txt: ")


def test_damaged_metadata_stops_nothing(site: Path) -> None:
    one_plugin(site, projector_module("fake_one"))
    for name, content in {
        "unreadable": b"\xff\xfe[cobra_kit.v1]",
        "bare": b"[cobra_kit.v1]\nbare = fake_bare\n",
    }.items():
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_bytes(content)
    labels = {record.label: record.status for record in Registry.discover().records}
    assert labels == {"bare (a package without metadata)": "broken", "one (fake-one 1.0)": "ok"}


def test_errors_raise_in_strict_mode(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_plugin(site, "raise RuntimeError('no luck')")
    monkeypatch.setenv("COBRA_KIT_PLUGIN_ERRORS", "raise")
    with pytest.raises(PluginError) as caught:
        Registry.discover()
    assert str(caught.value) == "plugin one (fake-one 1.0) is broken: RuntimeError: no luck"
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_incompatible_plugins_are_errors_in_strict_mode(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(site, "fake-one", plugins={"one": "fake_one"}, modules={}, group="cobra_kit.v2")
    monkeypatch.setenv("COBRA_KIT_PLUGIN_ERRORS", "raise")
    with pytest.raises(PluginError, match=r"plugin one .* is incompatible: it declares plugin API v2"):
        Registry.discover()


def test_a_later_api_is_incompatible_and_not_imported(site: Path) -> None:
    write_package(
        site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": "raise SystemExit"}, group="cobra_kit.v2"
    )
    record = only(Registry.discover())
    assert (record.status, record.error) == (
        "incompatible",
        "it declares plugin API v2, this cobra-kit speaks v1",
    )
    assert "fake_one" not in sys.modules


def test_a_package_that_serves_two_apis_is_used_through_ours(site: Path) -> None:
    write_package(site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": projector_module("fake_one")})
    points = site / "fake_one-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "\n[cobra_kit.v2]\none = fake_later\n")
    assert only(Registry.discover()).status == "ok"


@pytest.mark.parametrize(
    ("requirement", "error"),
    [
        ("cobra-kit>=99", f"it needs cobra-kit>=99, this is cobra-kit {__version__}"),
        ("Cobra_Kit<0.0.1", f"it needs cobra-kit<0.0.1, this is cobra-kit {__version__}"),
        ("cobra-kit>=0.0.1", ""),
        ("cobra-kit>=99; python_version < '3'", ""),
        ("cobra-kit>=99; extra == 'future'", ""),
        ("another-package>=99", ""),
    ],
)
def test_the_packages_own_requirement_on_cobra_kit_is_checked_again(site: Path, requirement: str, error: str) -> None:
    source = projector_module("fake_one") if not error else "raise SystemExit"
    write_package(site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": source}, requires=[requirement])
    record = only(Registry.discover())
    assert (record.status, record.error) == ("incompatible" if error else "ok", error)


def test_malformed_requirement_of_the_package(site: Path) -> None:
    write_package(
        site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": "raise SystemExit"}, requires=["cobra kit"]
    )
    record = only(Registry.discover())
    assert record.status == "broken"
    assert record.error.startswith("malformed requirement 'cobra kit': ")


def two_plugins(site: Path) -> None:
    for name in ("one", "two"):
        module = f"fake_{name}"
        write_package(site, f"fake-{name}", plugins={name: module}, modules={module: projector_module(module)})


@pytest.mark.parametrize(
    ("allowed", "statuses"),
    [("one", ["ok", "blocked"]), ("one, two,", ["ok", "ok"]), ("", ["blocked", "blocked"])],
)
def test_allow_list(site: Path, monkeypatch: pytest.MonkeyPatch, allowed: str, statuses: list[str]) -> None:
    two_plugins(site)
    monkeypatch.setenv("COBRA_KIT_PLUGINS", allowed)
    registry = Registry.discover()
    assert [record.status for record in registry.records] == statuses
    assert {record.error for record in registry.records if record.status == "blocked"} <= {"not in COBRA_KIT_PLUGINS"}
    assert ("fake_two" in sys.modules) == ("two" in allowed)


def test_allow_list_with_an_unknown_id(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two_plugins(site)
    monkeypatch.setenv("COBRA_KIT_PLUGINS", "one,tow")
    Registry.discover()
    assert capsys.readouterr().err == "warning: COBRA_KIT_PLUGINS names 'tow', which no installed package provides\n"


def test_disabled_plugins_are_blocked_and_not_imported(site: Path) -> None:
    two_plugins(site)
    registry = Registry.discover(enabled=False)
    assert [(record.status, record.error) for record in registry.records] == [("blocked", "--no-plugins")] * 2
    assert "fake_one" not in sys.modules


def test_without_loading_nothing_is_imported(site: Path) -> None:
    one_plugin(site, "raise SystemExit")
    record = only(Registry.discover(load=False))
    assert (record.status, record.module) == ("found", "fake_one")
    assert "fake_one" not in sys.modules


def test_what_a_plugin_prints_goes_to_stderr(site: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = "import os\nprint('printed')\nos.system('echo from a child')\nos.write(1, b'written\\n')\n"
    one_plugin(site, noise + projector_module("fake_one"))
    print("before")
    assert only(Registry.discover()).status == "ok"
    print("after")
    output = capfd.readouterr()
    assert output.out == "before\nafter\n"
    assert sorted(output.err.splitlines()) == ["from a child", "printed", "written"]


def test_seconds_of_a_slow_import_are_recorded(site: Path) -> None:
    one_plugin(site, "import time\ntime.sleep(0.05)\n" + projector_module("fake_one"))
    assert only(Registry.discover()).seconds >= 0.05


def test_seconds_of_a_broken_import_are_recorded(site: Path) -> None:
    one_plugin(site, "import time\ntime.sleep(0.05)\n1 / 0")
    assert only(Registry.discover()).seconds >= 0.05


def test_of_two_copies_of_a_package_the_first_on_the_path_counts(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_plugin(site, projector_module("fake_one"))
    older = tmp_path / "older"
    write_package(older, "Fake_One", plugins={"one": "fake_older"}, modules={}, version="0.9")
    monkeypatch.setattr(
        "cobra_kit._plugins.discover.distributions",
        lambda: importlib.metadata.distributions(path=[str(site), str(older)]),
    )
    assert only(Registry.discover()).distribution == "fake-one 1.0"


def test_one_process_of_several_warns(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_plugin(site, "1 / 0")
    monkeypatch.setenv("RANK", "1")
    assert only(Registry.discover()).status == "broken"
    assert capsys.readouterr().err == ""


def test_plugin_recipes(site: Path) -> None:
    (site / "mine.yaml").write_text("model: {}\n")
    one_plugin(
        site,
        "from pathlib import Path\nfrom cobra_kit.plugin import hookimpl\n"
        "@hookimpl\ndef cobra_recipes(): return [Path(__file__).with_name('mine.yaml')]",
    )
    recipes = Registry.discover().recipes()
    assert list(recipes) == ["one/mine"]
    assert recipes["one/mine"].read_text() == "model: {}\n"


def test_two_recipes_of_one_name(site: Path) -> None:
    for suffix in ("yaml", "yml"):
        (site / f"mine.{suffix}").write_text("model: {}\n")
    one_plugin(
        site,
        "from pathlib import Path\nfrom cobra_kit.plugin import hookimpl\n"
        "@hookimpl\ndef cobra_recipes(): return Path(__file__).parent.glob('mine.*')",
    )
    assert only(Registry.discover()).error == "it declares the recipe 'mine' twice"
