"""The text and exit code by which the user sees an exception."""

from __future__ import annotations

import traceback

import typer

from cobra_kit._plugins import attribute
from cobra_kit._plugins.words import one_line
from cobra_kit.cli.arguments import PROGRAM, UsageError
from cobra_kit.cli.exit_codes import FAILED, INTERNAL, USAGE
from cobra_kit.errors import CobraError, is_out_of_memory, text_of
from cobra_kit.formatting import printable_lines
from cobra_kit.trials.storage_url import redact_urls_in

# typer.BadParameter is the public end of a family whose root, every error typer reports to the user, has no public
# name in all supported versions of typer.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_TYPER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

_INDENT = " " * len("error: ")
_LESS_MEMORY = f"{_INDENT}take fewer or shorter rows at once, a smaller model or dtype, or end other programs"
_FOR_MORE = f"{_INDENT}run again with --debug for the traceback"


class ToldFailure(Exception):
    """The error of a worker, which told it as it would have been told here.

    Args:
        text: What the user sees of it.
        code: The exit code that belongs to it.
        trace: The worker's traceback.
    """

    def __init__(self, text: str, code: int, trace: str = "") -> None:
        super().__init__(text)
        self.text, self.code, self.trace = str(text), int(code), str(trace)


def report(error: BaseException, *, debug: bool) -> int:
    """Prints an error to stderr and returns the exit code that belongs to it.

    Args:
        error: The exception that ended the command.
        debug: Whether to print the traceback first.
    """
    if debug:
        try:
            trace = error.trace if isinstance(error, ToldFailure) else "".join(traceback.format_exception(error))
            typer.echo(redact_urls_in(trace), err=True, nl=False)
        except BaseException:  # a plugin's exception, whose text raises
            traceback.print_tb(error.__traceback__)
    text, code = text_and_code(error)
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    # What was typed wrongly is quoted, and may be a storage's URL; shortened by `printable` it would be none any more.
    typer.echo(printable_lines(redact_urls_in(text)), err=True)
    return code


def text_and_code(error: BaseException) -> tuple[str, int]:
    """Returns what the user is told of an error, and its exit code; what a plugin did wrong is told as its fault."""
    if isinstance(error, ToldFailure):
        return error.text, error.code
    named = attribute(error, foreign=True)
    return _text_and_code(error if named is None else named)


def _text_and_code(error: BaseException) -> tuple[str, int]:
    if issubclass(type(error), CobraError):
        return text_of(error) or one_line(error), FAILED
    if isinstance(error, UsageError):
        return f"{error}\n{_INDENT}try: {PROGRAM} --help", USAGE
    if isinstance(error, _TYPER_ERROR):
        return _typer_text(error), USAGE if isinstance(error, _USAGE_ERROR) else FAILED
    if is_out_of_memory(error):
        reason = (text_of(error).strip() or "the system gives no more").splitlines()[0]
        return f"memory is exhausted: {reason}\n{_LESS_MEMORY}\n{_FOR_MORE}", FAILED
    if isinstance(error, OSError) and error.strerror:
        # The disk, a permission, a vanished file: the machine's fault, not ours.
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}\n{_FOR_MORE}", FAILED
    return f"internal error: {one_line(error)}\n{_FOR_MORE}", INTERNAL


def _typer_text(error: BaseException) -> str:
    message: str = getattr(error, "format_message", error.__str__)().replace(": Value error, ", ": ")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{message[:1].lower()}{message[1:].rstrip('.')}\n{_INDENT}try: {path} --help"
