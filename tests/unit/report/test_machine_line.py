"""The foot of a table: on which machines its runs were made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from synthetic_report import table, view

from cobra_kit.report import RunMachine, render_latex, render_markdown, render_text
from cobra_kit.report.html import render_page
from cobra_kit.report.machines import machine_line

INTEL = RunMachine("Intel Xeon", 512, 1, "2.14.1", runs=4)
WHY = (
    "Results of training differ between processors from the first steps on: "
    "verdicts rest on the spread over seeds instead."
)


@pytest.mark.parametrize(
    ("machines", "text"),
    [
        ([INTEL], "Runs were made on: Intel Xeon, 512-bit vectors, 1 thread per run, torch 2.14.1."),
        (
            [INTEL, RunMachine("AMD EPYC", 256, 2, "2.15.0", runs=1)],
            "Runs were made on 2 machines or settings: Intel Xeon, 512-bit vectors, 1 thread per run, torch 2.14.1 "
            "(4 runs); AMD EPYC, 256-bit vectors, 2 threads per run, torch 2.15.0 (1 run).",
        ),
        (
            [replace(INTEL, vector_bits=None, threads=None)],
            "Runs were made on: Intel Xeon, vector width not recorded, threads not recorded, torch 2.14.1.",
        ),
        ([RunMachine()], "Runs were made on: machine, threads and torch version not recorded."),
        ([], "Machine, threads and torch version of the runs: not recorded."),
        (
            [replace(INTEL, accelerator="NVIDIA H200")],
            "Runs were made on: NVIDIA H200, Intel Xeon, 512-bit vectors, 1 thread per run, torch 2.14.1.",
        ),
    ],
)
def test_what_is_known_is_named_and_what_is_not_is_said(machines: list[RunMachine], text: str) -> None:
    assert machine_line(machines) == f"{text} {WHY}"


def test_every_form_of_the_table_has_it() -> None:
    whole = replace(table(), machines=(INTEL,))
    page = render_page(replace(view(), table=whole))
    for text in (render_text(whole), render_markdown(whole), render_latex(whole), page):
        assert "Runs were made on: Intel Xeon, 512-bit vectors, 1 thread per run, torch" in " ".join(text.split())
