"""Prints a table to stdout: styled in a terminal, plain in a file or a pipe."""

from __future__ import annotations

import shutil
import sys

import typer

from cobra_kit.report import AblationTable, render_text, styled_text

WIDTH = 80
"""Columns where the output is no terminal, and the least in one."""


def print_table(table: AblationTable) -> None:
    """Prints the table as wide as the terminal is."""
    width = terminal_width(sys.stdout.isatty())
    if not sys.stdout.isatty():
        typer.echo(render_text(table, width))
        return
    from rich.console import Console

    Console(width=width, highlight=False).print(styled_text(table, width), soft_wrap=True)


def terminal_width(is_terminal: bool) -> int:
    """Returns the columns to print in."""
    return max(WIDTH, shutil.get_terminal_size().columns) if is_terminal else WIDTH
