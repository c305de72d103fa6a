"""A first-token score whose choices hardly ever come first says so wherever it is printed."""

from __future__ import annotations

import csv
import html
import json
from pathlib import Path

import fake_study
import pytest

from cobra_kit.report import (
    AblationTable,
    ArmResult,
    BenchmarkInfo,
    build_table,
    grid,
    render_csv,
    render_latex,
    render_markdown,
    render_text,
    table_from_json,
    table_to_json,
)
from cobra_kit.report.footnotes import footnotes
from cobra_kit.report.html.scores import scores
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.reading.report import study_state

SENTENCE = (
    "presence ranks answers that hardly ever come first: together they have 0.0012 % (mlp) of the first token's "
    "probability, so the score says little of what the model would answer."
)


def built(*masses: dict[int, float], control: dict[int, float] | None = None) -> AblationTable:
    """Returns the table of two arms whose choices have these masses by seed."""
    questions = [QuestionScore(f"q{i}", f"p{i}", float(i % 2), "yes", "yes") for i in range(8)]
    seeds = masses[0] or {7: 0.0}
    arms = [
        ArmResult(
            name=name,
            scores={"presence": dict.fromkeys(seeds, questions)},
            control={"presence": dict.fromkeys(seeds, questions)},
            choice_mass={"presence": mass} if mass else {},
            control_choice_mass={"presence": control} if control else {},
        )
        for name, mass in zip(("mlp", "ldpv2"), masses, strict=True)
    ]
    benchmark = BenchmarkInfo(name="presence", rule="pope/first-token")
    return build_table(arms, [benchmark], reference="mlp", factor="model.projector", profile="laptop", resamples=50)


def mass_footnotes(table: AblationTable) -> list[str]:
    return [line for line in footnotes(table) if "hardly ever come first" in line]


def test_a_tiny_mass_stands_beside_the_number_in_every_form() -> None:
    table = built({7: 1.2e-5}, {7: 0.97})
    assert mass_footnotes(table) == [SENTENCE]
    assert SENTENCE in " ".join(render_text(table).split())
    assert SENTENCE in render_markdown(table).replace("\\", "")
    assert SENTENCE in html.unescape(scores(table))
    assert "0.0012" in render_latex(table)
    assert json.loads(table_to_json(table))["rows"][0]["choice_mass"] == {"mlp": 1.2e-5, "ldpv2": 0.97}
    assert next(csv.DictReader(render_csv(table).splitlines()))["choice_mass"] == "1.2e-05"


@pytest.mark.parametrize("mass", [0.1, 0.5, 1.0])
def test_a_mass_of_a_tenth_or_more_is_not_worth_a_sentence(mass: float) -> None:
    assert mass_footnotes(built({7: mass}, {7: 1.0})) == []


def test_the_seed_with_the_least_mass_counts() -> None:
    table = built({7: 0.9, 8: 0.05}, {7: 0.9, 8: 0.9})
    assert table.rows[0].choice_mass == {"mlp": 0.05, "ldpv2": 0.9}
    assert "5 % (mlp)" in mass_footnotes(table)[0]


def test_a_control_with_a_tiny_mass_is_told_too() -> None:
    lines = mass_footnotes(built({7: 0.9}, {7: 0.9}, control={7: 0.01}))
    assert [line[:28] for line in lines] == ["presence with wrong pictures"]
    assert "1 % (mlp), 1 % (ldpv2)" in lines[0]


def test_tables_of_before_the_mass_was_stored_open() -> None:
    table = built({}, {})
    body = json.loads(table_to_json(table))
    del body["rows"][0]["choice_mass"], body["rows"][0]["control_choice_mass"]
    assert table_from_json(json.dumps(body)) == table
    assert mass_footnotes(table) == []


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (1.2e-5, "0.0012 %"), (0.0456, "4.6 %"), (1.0, "100 %"), (0.2, "20 %")]
)
def test_shares_of_any_size_are_written_out(share: float, text: str) -> None:
    assert grid.percent(share) == text


def test_a_study_keeps_the_mass_and_one_without_it_opens(tmp_path: Path) -> None:
    study = fake_study.without_digests(fake_study.write_study(tmp_path))
    places = sorted(study.glob("runs/*/scores.json"))
    for place in places:
        content = json.loads(place.read_text())
        assert content["test"]["presence"]["choice_mass"] is None
        del content["test"]["presence"]["choice_mass"]
        place.write_text(json.dumps(content))
    table = study_state(study).table
    assert table is not None
    assert mass_footnotes(table) == []

    # What was stored before has no mean, but every single answer's probabilities.
    answers = places[0].parent / "predictions" / "test" / "presence.jsonl"
    answers.parent.mkdir(parents=True)
    lines = [{"probabilities": {"Yes": mass, "No": mass}} for mass in (0.001, 0.003)]
    answers.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    table = study_state(study).table
    assert table is not None
    assert "0.4 % (" in mass_footnotes(table)[0]

    content = json.loads(places[0].read_text())
    content["test"]["presence"]["choice_mass"] = 0.003
    places[0].write_text(json.dumps(content))
    table = study_state(study).table
    assert table is not None
    assert "0.3 % (" in mass_footnotes(table)[0]
