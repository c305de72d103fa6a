from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from fake_packages import projector_module, run_python, write_package

from cobra_kit.cli import main
from cobra_kit.cli.plugins import KindOption
from cobra_kit.plugin import ALL_KINDS

ZOO = '''
from typing import Annotated, Literal
from pydantic import Field
from cobra_kit.config import ComponentConfig
from cobra_kit.plugin import BackboneSpec, ProjectorSpec, hookimpl

class PoolConfig(ComponentConfig):
    """Pooling."""

    tokens: int = Field(gt=0)
    """Tokens of an image after pooling, a number that has to be a square so that the grid stays one."""
    how: Literal["mean", "max"] = "mean"
    """What is done with a cell's tokens."""
    width: int | None = None
    rank: Annotated[int, Field(ge=1, le=8)] | Literal["auto"] = "auto"
    sizes: tuple[int, ...] = Field(default_factory=lambda: (1, 2))

@hookimpl
def cobra_projectors():
    here = {"target": "fake_zoo_parts:Pool", "config": f"{__name__}:PoolConfig"}
    summary = "pools [b n d] over a grid of cells, " + "as many as there are, " * 5
    yield ProjectorSpec(name="pool", summary=summary, **here)
    yield ProjectorSpec(name="needy", summary="needs more", requires=("not-there>=2", "pluggy>=1"), **here)

@hookimpl
def cobra_backbones():
    yield BackboneSpec(name="large", summary="the big one", target="a:B", config="nowhere:C", unfinished="use zoo/pool")
'''


@pytest.fixture
def zoo(site: Path) -> Path:
    write_package(site, "fake-zoo", plugins={"zoo": "fake_zoo"}, modules={"fake_zoo": ZOO}, version="2.1")
    return site


def output_of(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(line.split()) == 0
    return capsys.readouterr().out


def folded(beginning: str, indent: int) -> list[str]:
    """Returns the lines of a row whose summary is longer than its column."""
    text = ", ".join([beginning, *["as many as there are"] * 5]) + ","
    return textwrap.wrap(text, 80, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def test_kinds_of_the_option_are_the_kinds() -> None:
    assert [option.kind for option in KindOption] == list(ALL_KINDS)


def test_list_is_grouped_by_kind(
    zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert output_of("plugins list", capsys).splitlines() == [
        "projectors",
        *folded("  zoo/pool   pools [b n d] over a grid of cells", 13),
        "  zoo/needy  needs more",
        "",
        "backbones",
        "  zoo/large  (not finished) the big one",
        "",
        "all from fake-zoo 2.1",
    ]
    assert output_of("plugins list --kind backbone", capsys).splitlines() == [
        "backbones",
        "  zoo/large  (not finished) the big one",
        "",
        "all from fake-zoo 2.1",
    ]
    assert output_of("plugins list --kind fusion", capsys) == "no fusion scheme is installed\n"


@pytest.mark.parametrize("width", [80, 140])
def test_list_names_the_package_of_each_where_they_differ(
    zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    write_package(zoo, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": projector_module("fake_one")})
    monkeypatch.setenv("COLUMNS", str(width))
    lines = output_of("plugins list", capsys).splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[-2:] for line in lines if line.startswith("  ") and "/" in line] == [
        ["fake-one", "1.0"],
        *([["fake-zoo", "2.1"]] * 3),
    ]
    assert len({line.index("fake-") for line in lines if "fake-" in line}) == 1


def test_list_is_whole_where_output_is_no_terminal(
    zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert ", ".join(["as many as there are"] * 5) in output_of("plugins list", capsys)


def test_nothing_installed(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert output_of("plugins list", capsys) == "no component is installed\n"
    assert output_of("plugins list --no-load", capsys) == "no plugin is installed\n"
    assert output_of("plugins list --broken", capsys) == "all 0 plugins are ok\n"


def test_list_of_what_is_not_usable(
    zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "x" * 30 + " " + "y" * 60
    write_package(zoo, "fake-a", plugins={"a": "fake_a"}, modules={"fake_a": f"raise ValueError({long!r})"})
    write_package(zoo, "fake-b", plugins={"b": "fake_b"}, modules={}, group="cobra_kit.v2")
    write_package(zoo, "fake-c", plugins={"zoo": "fake_c"}, modules={"fake_c": projector_module("fake_c")})
    problems = [
        "broken plugins",
        "  a (fake-a 1.0)",
        "      ValueError: " + "x" * 30,
        "      " + "y" * 60,
        "",
        "incompatible plugins",
        "  b (fake-b 1.0)",
        "      it declares plugin API v2, this cobra-kit speaks v1",
        "",
        "plugin ids in conflict",
        "  zoo",
        "      claimed by fake-c 1.0 and fake-zoo 2.1; nothing named zoo/... can be used",
    ]
    assert output_of("plugins list --broken", capsys).splitlines() == problems
    assert output_of("plugins list", capsys).splitlines()[-len(problems) :] == problems
    plain = json.loads(output_of("plugins list --broken --json", capsys))
    assert {plugin["id"]: plugin["status"] for plugin in plain["plugins"]} == {
        "a": "broken",
        "b": "incompatible",
        "zoo": "ok",
    }
    assert plain["conflicts"] == {"zoo": ["fake-c 1.0", "fake-zoo 2.1"]}


def test_list_of_metadata_imports_nothing(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(site, "fake-a", plugins={"a": "fake_a"}, modules={"fake_a": "raise SystemExit"})
    assert output_of("plugins list --no-load", capsys).splitlines() == [
        "plugins, not imported",
        "  a  fake_a  fake-a 1.0",
    ]
    assert json.loads(output_of("plugins list --no-load --json", capsys))["plugins"][0]["status"] == "found"


def test_blocked_plugins_are_listed(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert output_of("plugins list --no-plugins", capsys).splitlines() == [
        "no component is installed",
        "",
        "blocked plugins",
        "  zoo (fake-zoo 2.1)",
        "      --no-plugins",
    ]


def test_slow_plugins_are_named(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cobra_kit.cli.plugins_list.SLOW_SECONDS", 0.05)
    source = "import time\ntime.sleep(0.06)\n" + projector_module("fake_slow")
    write_package(site, "fake-slow", plugins={"slow": "fake_slow"}, modules={"fake_slow": source})
    lines = output_of("plugins list", capsys).splitlines()
    assert lines[-2] == "plugins that are slow to import"
    assert re.match(r"  slow \(fake-slow 1\.0\) took \d+\.\d", lines[-1])


def test_json(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = json.loads(output_of("plugins list --json", capsys))
    (plugin,) = plain["plugins"]
    assert plugin.pop("seconds") >= 0
    assert plugin == {
        "id": "zoo",
        "distribution": "fake-zoo 2.1",
        "api": "v1",
        "module": "fake_zoo",
        "status": "ok",
        "error": "",
        "recipes": [],
    }
    assert [component["name"] for component in plain["components"]] == ["zoo/pool", "zoo/needy", "zoo/large"]
    assert plain["components"][2] == {
        "name": "zoo/large",
        "kind": "backbone",
        "plugin": "zoo",
        "distribution": "fake-zoo 2.1",
        "summary": "the big one",
        "requires": [],
        "unfinished": "use zoo/pool",
    }
    only = json.loads(output_of("plugins list --json --kind backbone", capsys))
    assert [component["name"] for component in only["components"]] == ["zoo/large"]


def test_json_stays_valid_beside_a_plugin_that_prints(tmp_path: Path) -> None:
    noise = "import os\nprint('hello')\nos.write(1, b'hello')\n"
    modules = {"fake_loud": noise + projector_module("fake_loud")}
    write_package(tmp_path, "fake-loud", plugins={"loud": "fake_loud"}, modules=modules)
    process = run_python(
        "-m", "cobra_kit", "plugins", "list", "--json", path=tmp_path, cwd=tmp_path, COBRA_KIT_PLUGINS="loud"
    )
    assert [component["name"] for component in json.loads(process.stdout)["components"]] == ["loud/mean"]


def test_show_component(zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert output_of("plugins show zoo/pool", capsys).splitlines() == [
        "zoo/pool  projector",
        "  pools [b n d] over a grid of cells, as many as there are, as many as there",
        "  are, as many as there are, as many as there are, as many as there are,",
        "",
        "  package   fake-zoo 2.1",
        f"  file      {zoo / 'fake_zoo.py'}",
        "  class     fake_zoo_parts:Pool",
        "  config    fake_zoo:PoolConfig",
        "  requires  nothing more",
        "",
        "config",
        "  tokens: int (> 0)  (required)",
        "      Tokens of an image after pooling, a number that has to be a square so that",
        "      the grid stays one.",
        "  how: 'mean' | 'max' = 'mean'",
        "      What is done with a cell's tokens.",
        "  width: int | None = None",
        "  rank: int (>= 1 and <= 8) | 'auto' = 'auto'",
        "  sizes: tuple[int, ...] = (1, 2)",
    ]
    assert output_of("plugins show pool", capsys) == output_of("plugins show zoo/pool", capsys)


def test_show_says_what_is_missing(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of("plugins show zoo/needy", capsys)
    assert "requires  not-there>=2 (not installed), pluggy>=1 (met); pip install 'not-there>=2'\n" in text
    assert "  tokens: int (> 0)" in text


def test_show_unfinished_component(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of("plugins show zoo/large", capsys)
    assert "\nnot finished\n  use zoo/pool\n" in text
    assert "cannot import config nowhere:C: No module named 'nowhere'" in text


def test_show_plugin(zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert output_of("plugins show zoo", capsys).splitlines() == [
        "zoo",
        "  package  fake-zoo 2.1",
        "  module   fake_zoo",
        f"  file     {zoo / 'fake_zoo.py'}",
        "  api      v1",
        "  status   ok",
        "",
        "components",
        *folded("  zoo/pool   projector  pools [b n d] over a grid of cells", 24),
        "  zoo/needy  projector  needs more",
        "  zoo/large  backbone   (not finished) the big one",
    ]


def test_show_broken_plugin_and_conflict(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        write_package(site, f"fake-{name}", plugins={"same": f"fake_{name}"}, modules={f"fake_{name}": "1 / 0"})
    text = output_of("plugins show same", capsys)
    assert text.count("  status   broken: ZeroDivisionError: division by zero\n") == 2
    assert "plugin id 'same' is claimed by fake-a 1.0 and fake-b 1.0\n" in text


def test_show_plugin_with_recipes(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "mine.yaml").write_text("")
    source = (
        "from pathlib import Path\nfrom cobra_kit.plugin import hookimpl\n"
        "@hookimpl\ndef cobra_recipes(): return [Path(__file__).with_name('mine.yaml')]"
    )
    write_package(site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": source})
    assert output_of("plugins show one", capsys).endswith("\nrecipes\n  one/mine\n")


def test_a_one_file_plugin_on_the_command_line(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "my_pool.py"
    file.write_text(projector_module("my_pool"))
    for line in (f"--plugin {file} plugins list", f"plugins list --plugin {file}", f"plugins list --plugin={file}"):
        assert output_of(line, capsys).splitlines()[1] == "  my-pool/mean  a projector for tests"
    assert output_of("plugins list", capsys) == "no component is installed\n"
