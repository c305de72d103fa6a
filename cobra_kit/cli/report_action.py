"""The work of `cobra-kit report`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import typer

from cobra_kit.cli.arguments import PROGRAM
from cobra_kit.cli.report_format import Format
from cobra_kit.cli.storage_option import storage_option
from cobra_kit.cli.tables import WIDTH, print_table
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message
from cobra_kit.files import write_bytes, write_text
from cobra_kit.formatting import printable, printable_lines
from cobra_kit.names import path_word
from cobra_kit.report import AblationTable, render_csv, render_latex, render_markdown, render_text, table_to_json
from cobra_kit.report.html import render_page
from cobra_kit.study.reading.report import StudyState, report_view, study_state

_LONGEST_LINE = 1000

_TEXTS: dict[Format, Callable[[AblationTable], str]] = {
    Format.markdown: render_markdown,
    Format.csv: render_csv,
    Format.latex: render_latex,
    Format.json: table_to_json,
    Format.text: lambda table: render_text(table, WIDTH) + "\n",
}


def report(path: Path, *, form: Format, out: Path | None, storage: str | None = None) -> None:
    """Writes a study's report; what is not done is said on stderr.

    Raises:
        CobraError: There is no study, its files are damaged, or a format needs a table and no run is finished.
    """
    storage = storage_option(storage)
    state = study_state(path)
    for remark in state.study.remarks:
        typer.echo(f"note  {remark}", err=True)
    for line in state.missing:
        typer.echo(printable(f"missing  {line}", _LONGEST_LINE), err=True)
    if form is Format.html:
        _page(state, out, storage)
    else:
        _text(state, form, out)


def _page(state: StudyState, out: Path | None, storage: str | None) -> None:
    if state.table is not None:
        print_table(state.table)
    folder = state.study.path
    if out is None and not os.access(folder, os.W_OK):
        raise CobraError(
            "the study cannot be written, so its page cannot stand there",
            where=str(folder),
            hint=f"{shlex.join([PROGRAM, 'report', path_word(folder), '--out'])} FILE writes it elsewhere.",
        )
    out = out or state.study.folder.report
    page = render_page(report_view(state, _print_message, storage)).encode()
    write_bytes(out, page)
    typer.echo(f"\nreport  {out} ({len(page) / 1e6:.1f} MB, one file)", err=True)


def _text(state: StudyState, form: Format, out: Path | None) -> None:
    if state.table is None:
        raise CobraError(
            "no run is finished, so there is no table yet",
            where=str(state.study.path),
            hint="`cobra-kit run` with its recipe goes on; --format html shows what there is.",
        )
    text = _TEXTS[form](state.table)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(f"report  {out}", err=True)


def _print_message(event: Event, /) -> None:
    if isinstance(event, Message):
        typer.echo(printable_lines(event.text), err=True)
