"""Commands and options are an interface: a change to them is seen in review, in `command_line.txt`.

Run this file as a script to write `command_line.txt` anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from cobra_kit.cli.app import app

GOLDEN = Path(__file__).with_name("command_line.txt")


def lines(command: Any, path: str) -> Iterator[str]:
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    options = sorted(
        "/".join([*parameter.opts, *parameter.secondary_opts])
        for parameter in parameters
        if parameter.param_type_name == "option"
    )
    arguments = [
        parameter.metavar or parameter.name.upper()
        for parameter in parameters
        if parameter.param_type_name == "argument"
    ]
    yield " ".join([path, *arguments, *options])
    for name, child in sorted(getattr(command, "all_commands", getattr(command, "commands", {})).items()):
        yield from lines(child, f"{path} {name}")


def command_line() -> str:
    return "\n".join(lines(typer.main.get_command(app), "cobra-kit")) + "\n"


def test_commands_and_options_are_the_agreed_ones() -> None:
    advice = f"if the change is meant, run: python {GOLDEN.parent.parent.name}/contracts/{Path(__file__).name}"
    assert command_line() == GOLDEN.read_text(encoding="utf-8"), advice


if __name__ == "__main__":
    GOLDEN.write_text(command_line(), encoding="utf-8")
