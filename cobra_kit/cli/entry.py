"""Runs the command line: exit codes, and no traceback that nobody asked for.

What takes a while to import is imported within `main`, so that Ctrl-C is quiet during the imports too.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from cobra_kit.cli.exit_codes import BY_SIGNAL, INTERRUPTED, OK, PIPE_CLOSED
from cobra_kit.cli.process_list import hide_storage
from cobra_kit.processes import Terminated, end_with_parent, terminations_raised


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `cobra-kit` and returns its exit code.

    Args:
        arguments: The words after the program's name; None: those of this process.

    Returns:
        0; 1 for an error the user can mend, 2 for a wrong command line, 3 for a sweep some of whose trials failed, 70
        for an error of ours, 130 when interrupted (143 by SIGTERM, 129 by SIGHUP), 141 when whoever reads our output
        stopped.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        hide_storage(typed)
    from cobra_kit.cli.streams import end_of_output, keep_stdout_for_ourselves, prepare_streams

    end_with_parent()
    prepare_streams()
    if arguments is None:  # the process is ours
        _announce_crashes()
        if "--json" in typed:
            keep_stdout_for_ourselves()
    _prepare_threads()
    try:
        with terminations_raised() as received:
            code = _guarded(lambda: _run(typed, alone=arguments is None), debug="--debug" in typed)
    finally:
        end_of_output()
    # Typer has one code for whatever interrupts a command.
    return BY_SIGNAL + received[0] if received and code == INTERRUPTED else code


def _announce_crashes() -> None:
    """Lets Python say which line ran when the process crashes: a kernel's or a plugin's, most often."""
    import faulthandler

    with contextlib.suppress(OSError, RuntimeError, ValueError):  # there is no standard error
        if not faulthandler.is_enabled():
            faulthandler.enable(file=2)


def _prepare_threads() -> None:
    """Makes threads that wait for each other sleep soon, in this process and those it starts.

    GNU's OpenMP spins for some 20 ms at every barrier otherwise: beside other work on the same cores, two threads then
    take several times as long as one. It reads its settings as torch is loaded. Who has set any of them knows better.
    """
    if "torch" not in sys.modules and not any(
        name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    ):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def _run(arguments: list[str], *, alone: bool) -> int:
    import typer

    from cobra_kit._plugins import announce_hard_exits
    from cobra_kit.cli.app import app
    from cobra_kit.cli.arguments import PROGRAM, global_options_first
    from cobra_kit.cli.streams import output_is_gone

    if alone:
        announce_hard_exits()
    try:
        result = app(global_options_first(arguments), prog_name=PROGRAM, standalone_mode=False, obj=alone)
    except typer.Abort as abort:
        if isinstance(abort.__cause__, EOFError):  # a file that ends too early, of which typer believes a user's Ctrl-D
            raise abort.__cause__ from None
        raise KeyboardInterrupt from None
    code = result if isinstance(result, int) else OK
    return PIPE_CLOSED if code == OK and output_is_gone() else code


def _guarded(run: Callable[[], int], *, debug: bool) -> int:
    try:
        return run()
    except (KeyboardInterrupt, BrokenPipeError, SystemExit) as stop:
        if not isinstance(stop, Terminated) and _is_a_plugins(stop):
            from cobra_kit.cli.failure import report

            return report(stop, debug=debug)
        if isinstance(stop, KeyboardInterrupt):
            print(f"ended by {stop}" if isinstance(stop, Terminated) else "interrupted", file=sys.stderr)
            return INTERRUPTED
        if isinstance(stop, BrokenPipeError):
            return _pipe_closed()
        if isinstance(stop.__context__, BrokenPipeError):  # typer's way of leaving then
            return _pipe_closed()
        raise
    except BaseException as error:  # a plugin may raise what is no Exception
        from cobra_kit.cli.failure import report

        return report(error, debug=debug)


def _is_a_plugins(error: BaseException) -> bool:
    """Returns whether a plugin's own code ended the program, as if the user or the system had."""
    attribution = sys.modules.get("cobra_kit._plugins.attribution")  # not imported: no plugin ran
    return attribution is not None and attribution.attribute(error, foreign=True) is not None


def _pipe_closed() -> int:
    # Nobody reads stdout any more; without this, Python complains about it once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return PIPE_CLOSED
