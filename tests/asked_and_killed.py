"""Asks a saved model and kills its own process with SIGKILL meanwhile; test_evaluate_run.py runs it as a process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOY = Path(__file__).with_name("toy_benchmark.py")
PHASES = ("before", "half", "after")


def ask_and_die(run: str, questions: int, writes: int, phase: str) -> None:
    """Asks questions of the toy benchmark, and dies at one of its writes, at the end at latest.

    No clock is asked, so a test that does this finds the same on any machine.

    Args:
        run: The run's folder.
        questions: How many the benchmark has.
        writes: At which write it dies: answers of a batch, scores, the list of evaluations.
        phase: `before` the write, with `half` of what a batch adds, or `after` it.
    """
    from cobra_kit import _plugins
    from cobra_kit.evaluate import predict
    from cobra_kit.study.evaluation import evaluate_run
    from cobra_kit.study.evaluation.asked_run import find_run

    seen = 0

    def deadly(write: Callable[..., None]) -> Callable[..., None]:
        def wrapped(path: Path, *args: Any, **options: Any) -> None:
            nonlocal seen
            seen += 1
            size = path.stat().st_size if path.is_file() else 0
            if seen == writes and phase == "before":
                _die()
            write(path, *args, **options)
            if seen == writes:
                if phase == "half" and write is append:
                    os.truncate(path, size + (path.stat().st_size - size) // 2)
                _die()

        return wrapped

    append = predict.append_json_lines
    predict.append_json_lines = deadly(append)  # type: ignore[assignment]
    evaluate_run.write_scores = deadly(evaluate_run.write_scores)
    evaluate_run.write_sealed_json = deadly(evaluate_run.write_sealed_json)
    _plugins.configure(files=[TOY])
    evaluate_run.evaluate_run(find_run(Path(run)), ["grey"], changes={"questions": questions})
    _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
