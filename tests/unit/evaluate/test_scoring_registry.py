from __future__ import annotations

import subprocess
import sys

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring import get_rule, rule_names, rules


def test_the_rules_that_recipes_and_reports_name() -> None:
    assert {
        "vqav2/official",
        "vqav2/lavis",
        "textvqa/m4c",
        "pope/first-token",
        "pope/text",
        "pope/exact",
        "vsr/first-token",
        "refcoco/cobra",
        "refcoco/minigpt4",
        "gqa/official",
    } <= set(rule_names())
    assert all(get_rule(rule.name) is rule and rule.source and rule.description for rule in rules())


def test_a_rule_that_compares_choices_says_which() -> None:
    assert {rule.name: rule.choices for rule in rules() if rule.needs == "choices"} == {
        "pope/first-token": ("Yes", "No"),
        "vsr/first-token": ("True", "False"),
    }


@pytest.mark.parametrize(
    ("name", "near"),
    [("vqav2/offical", "vqav2/official"), ("pope/f1", "pope/first-token"), ("vsr/first", "vsr/first-token")],
)
def test_an_unknown_rule_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(CobraError, match=f"no scoring rule named '{name}'") as caught:
        get_rule(name)
    assert near in str(caught.value)


def test_an_unknown_benchmark_lists_all_rules() -> None:
    with pytest.raises(CobraError, match="known rules: vqav2/official"):
        get_rule("zzzzzz")


def test_scoring_and_reporting_need_no_torch() -> None:
    code = "import cobra_kit.evaluate.scoring, cobra_kit.report, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
