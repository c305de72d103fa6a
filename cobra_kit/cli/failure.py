"""What the user sees of an exception."""

from __future__ import annotations

import traceback

import typer

from cobra_kit._plugins import attribute
from cobra_kit.cli.arguments import PROGRAM, UsageError
from cobra_kit.cli.exit_codes import FAILED, INTERNAL, USAGE
from cobra_kit.errors import CobraError, is_out_of_memory
from cobra_kit.formatting import printable_lines

# typer.BadParameter is the public end of a family whose root, every error typer reports to the user, has no public
# name in all supported versions of typer.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_TYPER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

_INDENT = " " * len("error: ")
_LESS_MEMORY = f"{_INDENT}take fewer or shorter rows at once, a smaller model or dtype, or end other programs"
_FOR_MORE = f"{_INDENT}run again with --debug for the traceback"


def report(error: Exception, *, debug: bool) -> int:
    """Prints an error to stderr and returns the exit code that belongs to it.

    Args:
        error: What was raised.
        debug: Whether to print the traceback first.
    """
    if debug:
        traceback.print_exception(error)
    named = attribute(error, foreign=True)
    text, code = _text_and_code(error if named is None else named)
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    typer.echo(printable_lines(text), err=True)
    return code


def _text_and_code(error: Exception) -> tuple[str, int]:
    if isinstance(error, CobraError):
        return str(error), FAILED
    if isinstance(error, UsageError):
        return f"{error}\n{_INDENT}try: {PROGRAM} --help", USAGE
    if isinstance(error, _TYPER_ERROR):
        return _typer_text(error), USAGE if isinstance(error, _USAGE_ERROR) else FAILED
    if is_out_of_memory(error):
        reason = (str(error).strip() or "the system gives no more").splitlines()[0]
        return f"memory is exhausted: {reason}\n{_LESS_MEMORY}\n{_FOR_MORE}", FAILED
    if isinstance(error, OSError) and error.strerror:
        # The disk, a permission, a vanished file: the machine's fault, not ours.
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}\n{_FOR_MORE}", FAILED
    text = " ".join(str(error).split())
    return f"internal error: {type(error).__name__}{': ' if text else ''}{text}\n{_FOR_MORE}", INTERNAL


def _typer_text(error: Exception) -> str:
    message: str = getattr(error, "format_message", error.__str__)().replace(": Value error, ", ": ")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{message[:1].lower()}{message[1:].rstrip('.')}\n{_INDENT}try: {path} --help"
