from __future__ import annotations

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.paper import COLUMN_LABELS, column_label, paper_column, paper_table, paper_table_names


def test_the_tables_that_reproductions_need_are_there() -> None:
    numbers = {paper_table(name).number for name in paper_table_names()}
    assert {1, 2, 3, 4, 5, 7} <= numbers


def test_every_table_names_its_source_and_how_sure_it_is() -> None:
    for name in paper_table_names():
        table = paper_table(name)
        assert table.source.startswith("arXiv ")
        assert table.confidence in {"verbatim", "secondary"}
        assert table.caption
        assert table.rows


def test_the_printed_differences_of_table_5_follow_from_its_rows() -> None:
    table = paper_table("v4_table5_ablation")
    assert set(table.printed_differences) == set(table.rows) - {"full"}
    for row, printed in table.printed_differences.items():
        assert table.differences(row, "full") == printed


def test_the_means_of_table_4_follow_from_its_rows() -> None:
    table = paper_table("v4_table4_grounding")
    for row in table.rows.values():
        parts = [row.number(column) or 0.0 for column in ("refcoco", "refcoco_plus", "refcocog")]
        assert row.number("avg") == pytest.approx(sum(parts) / 3, abs=0.051)


def test_the_rates_of_table_3_follow_from_its_times() -> None:
    for row in paper_table("v4_table3_latency").rows.values():
        rate, seconds = row.number("tokens_per_s"), row.number("total_s")
        assert rate is not None
        assert seconds is not None
        assert 256 / rate == pytest.approx(seconds, abs=0.011)


def test_ocr_first_of_table_7_is_the_textvqa_of_table_5() -> None:
    ablation, order = paper_table("v4_table5_ablation"), paper_table("v4_table7_textvqa_prompt_order")
    for name in set(ablation.rows) & set(order.rows):
        assert order.row(name)["ocr_first"] == ablation.row(name)["textvqa"]


def test_the_known_disagreement_of_two_tables_is_kept_and_noted() -> None:
    grounding, ablation = paper_table("v4_table4_grounding"), paper_table("v4_table5_ablation")
    assert grounding.row("Cobra-3.5B")["refcocog"] == 46.9
    assert ablation.row("full")["refcocog"] == 48.9
    assert "46.9" in ablation.note
    assert "48.9" in grounding.note


def test_access_by_row_and_column() -> None:
    table = paper_table("v4_table5_ablation")
    assert table.title == "Cobra-3.5B, Table 5"
    assert table.row("w/ LDPv2")["pope"] == 87.7
    assert paper_table("v4_table1_config").row("image_tokens")["value"] == 729
    assert paper_table("v4_table2_main").row("InstructBLIP (Vicuna-13B)")["gqa"] == 49.5
    assert paper_table("v4_table2_main").row("Shikra").number("pope") is None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: paper_table("v4_table5"), "no paper table named 'v4_table5'\n.*v4_table5_ablation"),
        (lambda: paper_table("v4_table5_ablation").row("ldpv2"), "no row named 'ldpv2'\n.*w/ LDPv2"),
        (lambda: paper_table("v4_table5_ablation").row("full")["pop"], "no column named 'pop'\n.*pope"),
        (
            lambda: paper_table("v4_table3_latency").row("Cobra-8B").number("llm"),
            "words under 'llm': 'Mamba-7B'",
        ),
        (lambda: paper_table("v4_table2_main").row("IDEFICS"), r"no row named 'IDEFICS'\n.*IDEFICS \("),
    ],
)
def test_unknown_names_bring_the_nearest(call: object, text: str) -> None:
    assert callable(call)
    with pytest.raises(CobraError, match=text):
        call()


def test_benchmarks_stand_beside_columns() -> None:
    columns = set(paper_table("v4_table5_ablation").columns)
    assert columns == set(COLUMN_LABELS)
    for ability in ("attribute", "count", "spatial", "presence", "reading", "boxes", "POPE", "refcoco+"):
        assert paper_column(ability) in columns
    assert paper_column("captions") is None
    assert column_label("refcoco_plus") == "RefCOCO+"
    assert column_label("tokens_per_s") == "tokens_per_s"
