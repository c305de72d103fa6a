"""Runs the command line: exit codes, and errors without tracebacks."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence

import typer

from cobra_kit.cli.arguments import UsageError, global_options_first
from cobra_kit.errors import CobraError

PROGRAM = "cobra-kit"
OK, FAILED, USAGE, INTERNAL, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 70, 130, 141

# typer.BadParameter is the public end of a family whose root, every error typer reports to the user, has no public
# name in all supported versions of typer.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_TYPER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `cobra-kit` and returns its exit code.

    Args:
        arguments: The words after the program's name; None: those of this process.

    Returns:
        0; 1 for an error the user can mend, 2 for a wrong command line, 70 for an error of ours, 130 when
        interrupted, 141 when whoever reads our output stopped.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 gets a `?`, not an error
    return _guarded(lambda: _run(words), debug="--debug" in words)


def _run(words: list[str]) -> int:
    from cobra_kit.cli.app import app

    result = app(global_options_first(words), prog_name=PROGRAM, standalone_mode=False)
    sys.stdout.flush()  # a closed pipe shows here, where it can be caught
    return result if isinstance(result, int) else OK


def _guarded(run: Callable[[], int], *, debug: bool) -> int:
    try:
        return run()
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer's way of leaving then
            return _pipe_closed()
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report(error)


def _pipe_closed() -> int:
    # Nobody reads stdout any more; without this, Python complains about it once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return PIPE_CLOSED


def _report(error: Exception) -> int:
    """Prints an error and returns the exit code that belongs to it."""
    if isinstance(error, CobraError):
        _print_error(str(error))
        return FAILED
    if isinstance(error, UsageError):
        _print_error(f"{error}\n       try: {PROGRAM} --help")
        return USAGE
    if isinstance(error, _TYPER_ERROR):
        _print_error(_usage_text(error))
        return USAGE if isinstance(error, _USAGE_ERROR) else FAILED
    text = " ".join(str(error).split())
    _print_error(
        f"internal error: {type(error).__name__}{': ' if text else ''}{text}\n"
        "       run again with --debug for the traceback"
    )
    return INTERNAL


def _usage_text(error: Exception) -> str:
    message: str = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    message = message.replace(": Value error, ", ": ")
    return f"{message[:1].lower()}{message[1:].rstrip('.')}\n       try: {path} --help"


def _print_error(text: str) -> None:
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    typer.echo(text, err=True)
