"""Asks a saved model and kills its own process with SIGKILL meanwhile; test_evaluate_run.py runs it as a process."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

TOY = Path(__file__).with_name("toy_benchmark.py")


def ask_and_die(run: str, events: int, delay: float) -> None:
    """Asks all questions of the toy benchmark; dies a while after it has told of some events, at the end at latest."""
    from cobra_kit import _plugins
    from cobra_kit.study.evaluation.asked_run import find_run
    from cobra_kit.study.evaluation.evaluate_run import evaluate_run

    _plugins.configure(files=[TOY])
    seen = 0

    def report(event: object, /) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    evaluate_run(find_run(Path(run)), ["grey"], report=report)
    os.kill(os.getpid(), signal.SIGKILL)
