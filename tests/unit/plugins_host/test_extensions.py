"""Data sources, benchmarks, rules and trackers are found, named and refused as components are."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_packages import write_package

from cobra_kit._plugins import Registry, call_component
from cobra_kit.cli import main
from cobra_kit.errors import ArgumentError, NotFinishedError, PluginError
from cobra_kit.evaluate.scoring import Answered, get_rule
from cobra_kit.plugin import BenchmarkSpec, DataSourceSpec, ScoringRuleSpec, TrackerSpec

SHOP = '''
from cobra_kit.config import ComponentConfig
from cobra_kit.interfaces import Answered, DataSourceFactory, QuestionScore, Rule, Tracker
from cobra_kit.plugin import BenchmarkSpec, DataSourceSpec, ScoringRuleSpec, TrackerSpec, hookimpl

class Settings(ComponentConfig):
    """Settings."""

    rows: int = 3
    """How many rows there are."""

class Source(DataSourceFactory):
    @classmethod
    def open(cls, config, report=None):
        raise IndexError("no such shelf")

class Half(DataSourceFactory):
    pass

class Log(Tracker):
    def __call__(self, event, /):
        pass

def score_one(question):
    return QuestionScore(question.question_id, question.image, 1.0, question.prediction, "")

RULE = Rule(name="shop/exact", source="here", description="", score_one=score_one, summarize=dict)

here = {"config": f"{__name__}:Settings", "summary": "of the shop"}

@hookimpl
def cobra_data_sources():
    yield DataSourceSpec(name="rows", target=f"{__name__}:Source", **here)
    yield DataSourceSpec(name="half", target=f"{__name__}:Half", **here)
    yield DataSourceSpec(name="log-as-source", target=f"{__name__}:Log", **here)
    yield DataSourceSpec(name="needy", target="nowhere:Source", requires=("not-there>=2",), **here)
    yield DataSourceSpec(name="later", target="nowhere:Source", unfinished="use shop/rows", **here)

@hookimpl
def cobra_benchmarks():
    yield BenchmarkSpec(name="quiz", target="nowhere:Quiz", **here)

@hookimpl
def cobra_scoring_rules():
    yield ScoringRuleSpec(name="shop/exact", summary="letter by letter", target=f"{__name__}:RULE")
    yield ScoringRuleSpec(name="shop/other", summary="a name that its rule has not", target=f"{__name__}:RULE")
    yield ScoringRuleSpec(name="class", summary="no rule", target=f"{__name__}:Source")

@hookimpl
def cobra_trackers():
    yield TrackerSpec(name="log", target=f"{__name__}:Log", **here)
'''


@pytest.fixture
def registry(site: Path) -> Registry:
    write_package(site, "fake-shop", plugins={"shop": "fake_shop"}, modules={"fake_shop": SHOP})
    return Registry.discover()


def failure(call: object, *arguments: object) -> str:
    with pytest.raises(PluginError) as caught:
        call(*arguments)  # type: ignore[operator]
    return str(caught.value)


def test_each_kind_is_found_by_its_qualified_and_its_unique_short_name(registry: Registry) -> None:
    source = registry.data_source("shop/rows")
    assert source == registry.data_source("rows")
    assert source.load_source().__name__ == "Source"
    assert source.load_config()().rows == 3
    assert registry.benchmark("quiz").qualified == "shop/quiz"
    assert registry.tracker("shop/log").load_tracker().__name__ == "Log"
    assert registry.rule("shop/exact") == registry.rule("shop/shop/exact") == registry.find("shop/exact")
    assert registry.rule("shop/exact").load_rule().name == "shop/exact"
    assert registry.components() == []


def test_what_is_not_as_declared_says_so(registry: Registry) -> None:
    assert failure(registry.data_source("half").load_source) == (
        "data source 'shop/half' (fake-shop 1.0): target fake_shop:Half does not implement open"
    )
    assert failure(registry.data_source("log-as-source").load_source) == (
        "data source 'shop/log-as-source' (fake-shop 1.0): target fake_shop:Log must be a subclass of "
        "cobra_kit.interfaces.DataSourceFactory, not the class Log"
    )
    assert failure(registry.rule("class").load_rule) == (
        "scoring rule 'shop/class' (fake-shop 1.0): target fake_shop:Source must be a cobra_kit.interfaces.Rule, "
        "not the class Source"
    )
    assert "target fake_shop:RULE is a rule named 'shop/exact'" in failure(registry.rule("shop/other").load_rule)
    assert failure(registry.rule("shop/exact").load_config) == (
        "scoring rule 'shop/shop/exact' (fake-shop 1.0) has no settings"
    )


def test_requirements_and_unfinished_are_told_before_anything_is_imported(registry: Registry) -> None:
    assert failure(registry.data_source("needy").load_source) == (
        "data source 'shop/needy' (fake-shop 1.0) needs not-there>=2 (not installed)\n       pip install 'not-there>=2'"
    )
    with pytest.raises(NotFinishedError, match=r"data source 'shop/later' .* is not finished yet\n +use shop/rows"):
        registry.data_source("later").load_source()


def test_unknown_names_have_near_names(registry: Registry) -> None:
    assert failure(registry.data_source, "rowss") == (
        "no data source named 'rowss'\n"
        "       did you mean shop/rows?  cobra-kit plugins list --kind data_source shows all 5"
    )
    assert "did you mean shop/shop/exact" in failure(registry.rule, "shop/exakt")
    assert failure(registry.benchmark, "shop/log") == (
        "no benchmark named 'shop/log'\n"
        "       shop/log is a tracker\n"
        "       cobra-kit plugins list --kind benchmark shows all 1"
    )


def test_names_are_ambiguous_or_in_conflict_as_those_of_components(site: Path, registry: Registry) -> None:
    write_package(
        site, "fake-mall", plugins={"mall": "fake_mall"}, modules={"fake_mall": SHOP.replace("fake_shop", "fake_mall")}
    )
    assert failure(Registry.discover().data_source, "rows") == (
        "data source 'rows' is ambiguous: mall/rows (fake-mall 1.0) or shop/rows (fake-shop 1.0)\n"
        "       write the qualified name"
    )
    write_package(site, "fake-squatter", plugins={"shop": "fake_squatter"}, modules={"fake_squatter": SHOP})
    for name in ("shop/rows", "shop/shop/exact"):
        assert "plugin id 'shop' is claimed by fake-shop 1.0 and fake-squatter 1.0" in failure(
            Registry.discover().data_source, name
        )


def test_an_error_of_its_own_code_names_it(registry: Registry) -> None:
    source = registry.data_source("rows")
    assert "data source 'shop/rows' (fake-shop 1.0) failed in Source.open: IndexError: no such shelf" in failure(
        call_component, source, source.load_source().open, None
    )


@pytest.mark.parametrize(
    ("hook", "spec", "problem"),
    [
        ("cobra_trackers", "BenchmarkSpec(name='a', **here)", "cobra_trackers returned a BenchmarkSpec, expected"),
        ("cobra_trackers", "TrackerSpec(name='a/b', **here)", "bad tracker name 'a/b': lower-case"),
        ("cobra_benchmarks", "BenchmarkSpec(name='A', **here)", "bad benchmark name 'A': lower-case"),
    ],
)
def test_a_plugin_that_declares_wrongly_is_broken(site: Path, hook: str, spec: str, problem: str) -> None:
    source = (
        "from cobra_kit.plugin import *\nfrom cobra_kit.plugin import hookimpl\n"
        "here = {'summary': '', 'target': 'a:B', 'config': 'a:C'}\n"
        f"@hookimpl\ndef {hook}(): return [{spec}]"
    )
    write_package(site, "fake-wrong", plugins={"wrong": "fake_wrong"}, modules={"fake_wrong": source})
    assert problem in Registry.discover().records[0].error


def test_a_name_stands_for_one_thing_in_a_plugin(site: Path) -> None:
    source = SHOP.replace('name="quiz"', 'name="log"')
    write_package(site, "fake-shop", plugins={"shop": "fake_shop"}, modules={"fake_shop": source})
    assert Registry.discover().records[0].error == "it declares 'log' as a benchmark and as a tracker"


@pytest.mark.parametrize("spec", [DataSourceSpec, BenchmarkSpec, TrackerSpec])
def test_specs_are_checked_by_their_word(spec: type[DataSourceSpec]) -> None:
    with pytest.raises(ArgumentError, match=f"summary of a {spec.noun} must be a text, not an int"):
        spec(name="a", summary=3, target="a:B", config="a:C")  # type: ignore[arg-type]


def test_a_rule_has_at_most_two_parts() -> None:
    with pytest.raises(ArgumentError, match=r"bad scoring rule name 'a/b/c': lower-case .* with at most one '/'"):
        ScoringRuleSpec(name="a/b/c", summary="", target="a:B")


def test_a_file_on_the_command_line_declares_them_too(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "shop.py"
    file.write_text(SHOP)
    assert main(["--plugin", str(file), "plugins", "list", "--kind", "scoring_rule"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["scoring rules", "  shop/shop/exact  letter by letter"]
    assert main(["--plugin", str(file), "plugins", "show", "shop/rows"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("shop/rows  data source\n  of the shop\n")
    assert "  rows: int = 3\n      How many rows there are." in shown
    assert main(["--plugin", str(file), "plugins", "show", "shop/exact"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("shop/shop/exact  scoring rule\n")
    assert "config" not in shown
    assert main(["--plugin", str(file), "plugins", "show", "shop"]) == 0
    assert "extensions\n" in capsys.readouterr().out


def test_questions_are_scored_by_a_rule_of_a_plugin(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cobra_kit.evaluate.scoring.registry.default_registry", lambda: registry)
    rule = get_rule("shop/exact")
    assert rule is registry.rule("shop/exact").load_rule() is get_rule("shop/shop/exact")
    assert [score.score for score in rule.score([Answered(question_id="1", image="a.png")])] == [1.0]
