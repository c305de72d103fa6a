"""Numbers of one benchmark that was asked in two ways: columns of their own, never subtracted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_study import without_digests, write_study

from cobra_kit.evaluate.protocol import protocol_parts
from cobra_kit.study.reading.protocols import Columns
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.stored_study import list_studies

PLAIN = {
    "split": "val",
    "prompt": "{question}",
    "rule": "vqav2/official",
    "decoding": "greedy",
    "post_processing": "",
    "max_new_tokens": 128,
}
SHORT = {**PLAIN, "max_new_tokens": 4}


def with_protocol(study: Path, run: str, protocol: dict[str, Any]) -> None:
    file = study / "runs" / run / "scores.json"
    scores = json.loads(file.read_text())
    scores["test"]["count"]["protocol"] = protocol
    file.write_text(json.dumps(scores))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return without_digests(write_study(tmp_path))


def table_of(study: Path):
    (stored,) = list_studies(study.parent)
    return study_table(stored, stored.folder)


def test_arms_that_were_asked_in_the_same_way_are_compared(study: Path) -> None:
    for run in ("mlp-s7", "linear-s7"):
        with_protocol(study, run, PLAIN)
    table = table_of(study)
    row = next(row for row in table.rows if row.benchmark == "count")
    assert set(row.scores) == {"mlp", "linear"}
    assert "linear" in row.differences
    assert row.protocol == protocol_parts(PLAIN)


def test_arms_that_were_asked_in_another_way_are_not_subtracted(study: Path) -> None:
    with_protocol(study, "linear-s7", SHORT)
    with_protocol(study, "mlp-s7", PLAIN)
    table = table_of(study)
    rows = {row.benchmark: row for row in table.rows if row.benchmark.startswith("count")}
    assert {name: set(row.scores) for name, row in rows.items()} == {"count": {"mlp"}, "count (2)": {"linear"}}
    assert not any(row.differences for row in rows.values())
    note = "count (2) is asked in another way than count, and not compared: max_new_tokens 4 and not 128"
    assert note in table.notes


def test_scores_of_before_protocols_were_stored_stand_as_they_did(study: Path) -> None:
    with_protocol(study, "mlp-s7", PLAIN)
    table = table_of(study)
    assert {row.benchmark for row in table.rows} >= {"count", "presence"}
    assert all(set(row.scores) == {"mlp", "linear"} for row in table.rows)
    assert next(row for row in table.rows if row.benchmark == "presence").protocol == {}


def test_the_reference_has_the_plain_name() -> None:
    columns = Columns([("vqav2", {"protocol": SHORT}), ("vqav2", {"protocol": PLAIN}), ("gqa", {})])
    assert [columns.of("vqav2", {"protocol": protocol}) for protocol in (SHORT, PLAIN, None)] == [
        "vqav2",
        "vqav2 (2)",
        "vqav2",
    ]
    assert columns.of("gqa", {}) == "gqa"


def test_a_protocol_is_said_in_words() -> None:
    assert protocol_parts(SHORT) == {
        "split": "val",
        "decoding": "greedy, at most 4 new tokens",
        "post-processing": "none",
        "rule": "vqav2/official",
        "prompt": '"{question}"',
    }
    ranked = protocol_parts({**PLAIN, "decoding": "choices", "max_new_tokens": None, "prompt": ""})
    assert (ranked["decoding"], ranked["prompt"]) == ("choices, ranked at the first token", "each question's own")
