"""Peak memory on a CPU: a process of its own per model, since memory that other models left behind would count too.

`python -m cobra_kit.bench.child` reads what to measure as JSON and prints the peaks as JSON.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cobra_kit._plugins import configure, configured
from cobra_kit.bench.results import Peak
from cobra_kit.bench.settings import Settings
from cobra_kit.bench.subjects import Subject
from cobra_kit.errors import CobraError
from cobra_kit.machine import forget_peak, keeps_peak, resident_memory
from cobra_kit.processes import last_line, run_python

CPU_HOW = "the resident memory of a process that does nothing else, Python and torch included, at its peak"
_TOKENS = 2
"""Tokens per answer: the peak is in the prefill."""


def child_peaks(subject: Subject, dtype: str, settings: Settings) -> dict[str, Peak]:
    """Returns the peaks of a model by size (`rows text visual`); none where the system does not keep them.

    Raises:
        CobraError: The process failed; the text is its last line.
    """
    if not keeps_peak():
        return {}
    files, enabled = configured()
    asked = {
        "recipe": subject.resolved.to_yaml(),
        "name": subject.name,
        "dtype": dtype,
        "settings": asdict(replace(settings, new_tokens=_TOKENS, device="cpu")),
        "plugins": [str(file.absolute()) for file in files],
        "enabled": enabled,
    }
    done = run_python("-m", __name__, text=json.dumps(asked))
    if done.returncode != 0:
        last = last_line(done.stderr, f"exit status {done.returncode}")
        raise CobraError(f"measuring the memory of {subject.name} failed: {last}", hint="Leave it out: --no-memory.")
    peaks: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return {size: Peak(**peak) for size, peak in peaks.items()}


def measured(asked: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Returns what `child_peaks` asks for, measured in this process."""
    import torch

    from cobra_kit.bench.cases import cases_of
    from cobra_kit.bench.models import build
    from cobra_kit.model.device import dtype_named
    from cobra_kit.recipe import load_recipe, resolve

    configure(files=[Path(file) for file in asked["plugins"]], enabled=asked["enabled"])
    plain: dict[str, Any] = asked["settings"]
    lists: dict[str, Any] = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
    settings = Settings(**(plain | lists))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(asked["recipe"], encoding="utf-8")
        subject = Subject(asked["name"], resolve(load_recipe(file)))
    cpu = torch.device("cpu")
    model = build(subject, device=cpu, dtype=dtype_named(asked["dtype"], cpu), weights=settings.weights)
    cases = list(cases_of(subject.name, asked["dtype"], model, settings))
    cases[0].measure()  # what only the first call needs is no one size's
    peaks = {}
    for case in cases:
        give_back_freed()
        before = _resident()
        if not forget_peak():
            raise _silent_system()
        case.measure()
        total = _resident(peak=True)
        prompt = case.prompt
        size = f"{prompt.batch.num_rows} {prompt.text_tokens} {prompt.visual_tokens}"
        peaks[size] = asdict(Peak(total, max(0, total - before)))
    return peaks


def give_back_freed() -> None:
    """Gives freed memory back to the system, where the C library can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident(*, peak: bool = False) -> int:
    num_bytes = resident_memory(peak=peak)
    if num_bytes is None:
        raise _silent_system()
    return num_bytes


def _silent_system() -> CobraError:
    return CobraError("the system does not tell this process's memory", hint="Leave the memory out: --no-memory.")


if __name__ == "__main__":
    print(json.dumps(measured(json.load(sys.stdin))))
