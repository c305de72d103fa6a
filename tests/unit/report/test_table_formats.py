"""CSV, LaTeX and Markdown: complete, and nothing in a name can break them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from fake_study import HOSTILE
from synthetic_report import table

from cobra_kit.report import render_csv, render_latex, render_markdown


def test_csv_has_a_row_per_arm_and_benchmark_with_its_interval() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(table()))))
    assert [(row["benchmark"], row["arm"]) for row in rows] == [
        ("presence", "mlp"),
        ("presence", "ldpv2"),
        ("reading", "mlp"),
        ("reading", "ldpv2"),
    ]
    first, second, *_ = rows
    assert (first["score"], first["low"], first["high"]) == ("80.0", "78.0", "82.0")
    assert (first["difference"], first["is_reference"], first["seeds"]) == ("", "true", "7 8 9")
    assert (second["difference"], second["difference_low"], second["verdict"]) == ("-1.0", "-2.0", "lower")
    assert (second["paper_row"], second["paper_score"], second["paper_difference"]) == ("row of ldpv2", "88.4", "-0.7")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "a,b", 'a"b', "a\nb"])
def test_csv_holds_any_name_and_no_formula(name: str) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(table(("mlp", name))))))
    assert rows[1]["arm"] == (f"'{name}" if name[0] in "=+-@" else name)


LATEX_LINE = r"    presence (POPE) & 80.0 $\pm$1.2 {\scriptsize [78.0, 82.0]}"


def test_latex_is_a_booktabs_table() -> None:
    text = render_latex(table())
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert LATEX_LINE in text
    assert r"$-$1.0$^{*}$ {\scriptsize [$-$2.0, $-$0.1]}" in text
    widths = {line.count("&") for line in text.splitlines() if line.endswith(r"\\")}
    assert widths == {len(re.search(r"\{tabular\}\{(l+r+)\}", text)[1]) - 1}  # type: ignore[index]


def test_latex_prints_any_name() -> None:
    text = render_latex(table(("mlp", HOSTILE)))
    assert "\x00" not in text
    row = next(line for line in text.splitlines() if "textless" in line and line.endswith(r"\\"))
    bare = re.sub(r"\\[a-zA-Z]+(\{\})?|\\[{}$&#%_]|\$[-^*{}a-z\\]*\$|\{[\[\]*]\}", "", row.removesuffix(r"\\"))
    assert not set(bare) & set('\\{}$#%_^~<>|"*[]')


def test_markdown_cells_cannot_be_broken_out_of() -> None:
    name = "a|b <b>`c`</b> [x](javascript:alert(1)) _it_ *bold*\n# heading"
    whole = table(("mlp", name))
    text = render_markdown(replace(whole, factor=name))
    assert "<b>" not in text
    assert "\n# heading" not in text
    assert "](javascript" not in text.replace("\\](", "")
    header = next(line for line in text.splitlines() if line.startswith("| benchmark"))
    rule = text.splitlines()[text.splitlines().index(header) + 1]
    assert len(re.findall(r"(?<!\\)\|", header)) == len(re.findall(r"(?<!\\)\|", rule))
