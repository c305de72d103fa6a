"""An examination by the doctor, as text of any width and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from cobra_kit import columns
from cobra_kit.formatting import gibibytes, megabytes

if TYPE_CHECKING:
    from cobra_kit.doctor import Examination
    from cobra_kit.doctor.kernels import ModelKernels

NOTHING_FASTER = "nothing would make it faster here"
_NAMES = 16


def render(examination: Examination, width: int) -> list[str]:
    """Returns the lines; the last one is what would make it faster.

    Args:
        examination: What the doctor found.
        width: Columns of the terminal.
    """
    lines = _section(
        "versions", [(name, version or "not installed") for name, version in examination.versions.items()], width
    )
    lines += _section("machine", [*examination.machine, *_gpus(examination)], width)
    lines += _section("here", _here(examination), width)
    for model in examination.models:
        lines += [*_kernels(model, width), ""]
    if examination.broken:
        lines.append(typer.style("broken", bold=True))
        lines += [columns.paragraph(text, indent="  ", limit=width) for text in examination.broken]
        lines.append("")
    faster = NOTHING_FASTER if examination.remedy is None else f"faster: {examination.remedy}"
    return [*lines, columns.paragraph(faster, indent="", limit=width)]


def to_json(examination: Examination) -> dict[str, Any]:
    """Returns the same as plain data."""
    plain = asdict(examination)
    plain["machine"] = dict(examination.machine)
    plain["cuda"] = {"torch": examination.cuda[0], "driver": examination.cuda[1]}
    plain["cache"]["folder"] = str(examination.cache.folder)
    plain["remedy"] = examination.remedy
    return plain


def _section(title: str, facts: list[tuple[str, str]], width: int) -> list[str]:
    lines = [typer.style(title, bold=True)]
    for name, value in facts:
        indent = " " * (_NAMES + 4)
        text = columns.paragraph(value, indent=indent, limit=width)
        if any(len(line) > width for line in text.splitlines()):  # a long word has more room in lines of its own
            lines += [f"  {name}", columns.paragraph(value, indent="    ", limit=width)]
            continue
        lines.append(f"  {name:<{_NAMES}}  {text.removeprefix(indent)}")
    return [*lines, ""]


def _gpus(examination: Examination) -> list[tuple[str, str]]:
    facts = [
        (
            f"GPU {number}",
            f"{gpu.name}, {gibibytes(gpu.memory)}, compute capability {gpu.capability}, "
            f"{'bfloat16' if gpu.bfloat16 else 'no bfloat16'}",
        )
        for number, gpu in enumerate(examination.gpus)
    ]
    built, driver = examination.cuda
    torch = f"torch built for CUDA {built}" if built else "torch built without CUDA"
    return [*(facts or [("GPU", "none that torch sees")]), ("CUDA", f"{torch}, driver {driver or 'not found'}")]


def _here(examination: Examination) -> list[tuple[str, str]]:
    state = examination.cache.problem and f"cannot be written: {examination.cache.problem}"
    cache = f"{examination.cache.folder}, {megabytes(examination.cache.size)}, {state or 'can be written'}"
    facts = [(named.diagnosis.what, named.diagnosis.found) for named in examination.diagnoses]
    facts.append(("cache", cache))
    return facts + [("environment", f"{name}={value}") for name, value in examination.settings.items()]


def _kernels(model: ModelKernels, width: int) -> list[str]:
    lines = [typer.style(f"kernels of {model.name} on {model.device}, {model.dtype}", bold=True)]
    if model.problem:
        return [*lines, columns.paragraph(model.problem, indent="  ", limit=width)]
    if not model.groups:
        return [*lines, "  it does not say"]
    table = [(group.layers, group.kernel) for group in model.groups]
    rows = iter(columns.blocks(table, flexible=1, limit=width))
    for (reason, remedy), groups in groupby(model.groups, key=lambda group: (group.reason, group.remedy)):
        lines += [line for _ in groups for line in next(rows)]
        lines.append(columns.paragraph(f"because: {reason}", indent="      ", limit=width))
        if remedy is not None:
            lines.append(columns.paragraph(f"remedy: {remedy}", indent="      ", limit=width))
    return lines
