"""A worker: takes trials one after the other until none is left."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.trials.lease import LeaseLostError
from cobra_kit.trials.queue import LeasedTrial, TrialQueue
from cobra_kit.trials.storage_error import StorageError

Objective = Callable[[LeasedTrial], Sequence[float]]
"""Runs a trial and returns its values. Calls `leased.check()` often, and goes on from what an earlier worker left."""


class Infeasible(Exception):
    """The trial cannot be run, and it was known before anything was spent on it."""


@dataclass(slots=True)
class Outcome:
    """The result of a worker's work.

    Args:
        completed: Trials it ended with values.
        pruned: Trials it found not worth going on with, or infeasible.
        failed: Trials that went wrong.
        lost: Trials that another worker took over.
    """

    completed: int = 0
    pruned: int = 0
    failed: int = 0
    lost: int = 0


def work(
    queue: TrialQueue,
    objective: Objective,
    *,
    report: Reporter = silent,
    fail_fast: bool = False,
    deadline: float | None = None,
    poll_seconds: float = 1.0,
) -> Outcome:
    """Works on a study's trials until all have ended.

    While others still work, it waits: one of them may go silent, and its trial is then taken over.

    Args:
        queue: The study's trials.
        objective: Called with each trial; it does the trial's work.
        report: Told about failures and takeovers.
        fail_fast: Stop at the first trial that goes wrong, and raise its error.
        deadline: `time.monotonic()` after which no further trial is begun.
        poll_seconds: How often to look while nothing is waiting.

    Raises:
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP; the trial at hand goes back to waiting.
        CobraError: `fail_fast`, or (`StorageError`) trials cannot be recorded; the one at hand is taken over later.
    """
    outcome = Outcome()
    while deadline is None or time.monotonic() < deadline:
        leased = queue.take()
        if leased is not None:
            if leased.resumed:
                report(Message(text=f"{leased.name} goes on where another worker stopped"))
            _run(queue, leased, objective, outcome, report, fail_fast)
        elif queue.is_finished():
            break
        else:
            time.sleep(poll_seconds)
    return outcome


def _run(
    queue: TrialQueue, leased: LeasedTrial, objective: Objective, outcome: Outcome, report: Reporter, fail_fast: bool
) -> None:
    from optuna.exceptions import TrialPruned

    try:
        try:
            values = objective(leased)
        except Infeasible as reason:
            queue.prune(leased, str(reason), infeasible=True)
            outcome.pruned += 1
        except TrialPruned as reason:
            queue.prune(leased, str(reason) or "pruned")
            outcome.pruned += 1
        # Neither is the trial's failure: another worker has it, or nothing can be recorded now.
        except (LeaseLostError, StorageError):
            raise
        except KeyboardInterrupt:
            with suppress(Exception):  # the storage is away, say; a dead worker's lease counts for nothing
                queue.give_back(leased)
            raise
        except Exception as error:
            queue.fail(leased, _error_text(error))
            outcome.failed += 1
            if fail_fast:
                raise
            report(Message(text=f"{leased.name} failed: {_first_line(error)}", level="warning"))
        else:
            queue.complete(leased, values)
            outcome.completed += 1
    except LeaseLostError as error:
        outcome.lost += 1
        report(Message(text=f"{leased.name}: {error.message}", level="warning"))
    finally:
        leased.lease.__exit__(None, None, None)


def _error_text(error: Exception) -> str:
    if isinstance(error, CobraError):
        return str(error)
    return "".join(traceback.format_exception(error)).strip()


def _first_line(error: Exception) -> str:
    if isinstance(error, CobraError):
        return error.message
    return f"{type(error).__name__}: {error}".splitlines()[0]
