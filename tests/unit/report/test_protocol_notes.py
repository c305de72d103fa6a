"""The protocol stands beside every number, in every form of a table and at every width, and is said once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from synthetic_report import table

from cobra_kit.cli.status_text import status_lines
from cobra_kit.report import AblationTable, render_csv, render_latex, render_markdown, render_text, table_to_json
from cobra_kit.report.html.scores import scores
from cobra_kit.report.protocols import protocol_lines, protocols
from cobra_kit.study.reading.status import StudyStatus

RANKED = {
    "split": "test",
    "decoding": "choices, ranked at the first token",
    "post-processing": "none",
    "rule": "pope/first-token",
    "prompt": '"{question}"',
}
WRITTEN = {**RANKED, "decoding": "greedy, at most 4 new tokens", "rule": "textvqa/m4c", "prompt": '"Read <{question}>"'}


def asked(*parts: Mapping[str, str]) -> AblationTable:
    plain = table()
    return replace(plain, rows=tuple(replace(row, protocol=p) for row, p in zip(plain.rows, parts, strict=True)))


def test_a_wide_terminal_shows_a_line_per_benchmark_and_what_all_share_once() -> None:
    lines = render_text(asked(RANKED, WRITTEN), 140).splitlines()
    start = lines.index("how each was asked and scored (all: split test; post-processing none)")
    assert [line.split("  ")[1] for line in lines[start + 2 : start + 4]] == ["presence", "reading"]
    assert lines[start + 1].split() == ["decoding", "rule", "prompt"]
    assert "choices, ranked at the first token  pope/first-token  " in lines[start + 2]


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_shows_paragraphs_that_fit(width: int) -> None:
    text = render_text(asked(RANKED, WRITTEN), width)
    whole = " ".join(text.split())
    assert "reading: decoding greedy, at most 4 new tokens; rule textvqa/m4c; prompt" in whole
    block = text[text.index("how each") :].split("\n\n")[0]
    assert max(map(len, block.splitlines())) <= width


def test_benchmarks_of_one_protocol_share_a_line() -> None:
    assert [label for label, _ in protocols(asked(RANKED, RANKED))] == ["presence, reading"]


def test_scores_whose_protocol_was_not_recorded_say_their_rule_and_that() -> None:
    assert protocols(table()) == []
    assert "how each" not in render_text(table(), 80)
    (_, known), (label, old) = protocols(asked(RANKED, {}))
    assert known == RANKED
    assert (label, old["decoding"]) == ("reading", "the rest was not recorded")
    assert old["rule"] == table().rows[1].rule


def test_every_form_has_every_part() -> None:
    both = asked(RANKED, WRITTEN)
    rows = list(csv.DictReader(io.StringIO(render_csv(both))))
    assert rows[0]["protocol"].startswith("split test; decoding choices, ranked at the first token; ")
    assert json.loads(table_to_json(both))["rows"][1]["protocol"] == WRITTEN
    markdown = render_markdown(both)
    assert "| how each was asked and scored | split | decoding | post-processing | rule | prompt |" in markdown
    assert '`"Read <{question}>"`' in markdown
    assert "presence: split test; decoding choices, ranked at the first token" in render_latex(both)
    page = str(scores(both))
    assert "<summary>How each was asked and scored</summary>" in page
    assert "Read &lt;{question}&gt;" in page


def test_the_status_says_how_its_best_trial_was_asked() -> None:
    status = StudyStatus(
        study="s", folder="f", metrics=["mean test accuracy"], directions=["maximize"], trials=[], seconds_left=None
    )
    plain = [line for line, _ in status_lines(status, 80)]
    told = [line for line, _ in status_lines(replace(status, protocols={"presence": RANKED}), 80)]
    assert told[: len(plain)] == plain
    assert told[len(plain) + 1 :] == protocol_lines([("presence", RANKED)], 80)
    assert any("rule pope/first-token" in line for line in told)
