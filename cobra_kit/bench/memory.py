"""Checks that what is asked for fits this machine, and the memory that a model took at its peak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from cobra_kit.bench.settings import COBRA, Settings
from cobra_kit.bench.subjects import Subject
from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.estimate.inference import InferenceNeed, inference_need, together
from cobra_kit.estimate.memory import FITS
from cobra_kit.formatting import gigabytes
from cobra_kit.model.device import dtype_named
from cobra_kit.weights import available_memory

_PAPER_TEXT = 64
"""Text tokens to reckon with for the paper's prompt, which has about twenty."""


@dataclass(frozen=True, slots=True)
class Need:
    """The memory that one subject takes.

    Args:
        subject: Name of the subject.
        each: Per dtype, all of which stand side by side, the need of its hardest case; empty where it cannot be built.
        problem: Why it cannot, or None.
    """

    subject: str
    each: tuple[InferenceNeed, ...] = ()
    problem: str | None = None

    @property
    def total(self) -> int:
        """Returns the most bytes that it holds at a time."""
        return together(self.each)


def needs(subjects: Sequence[Subject], settings: Settings, device: torch.device) -> list[Need]:
    """Returns what every subject takes in its hardest case: the longest prompts of the largest batch."""
    all_needs = []
    for subject in subjects:
        try:
            each = [_need(subject, settings, device, dtype_named(name, device)) for name in settings.dtypes]
            all_needs.append(Need(subject.name, tuple(each)))
        except CobraError as error:
            all_needs.append(Need(subject.name, problem=error.message))
    return all_needs


def free_memory(device: torch.device) -> int | None:
    """Returns the bytes that a device has free; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory()


def fits(all_needs: Iterable[Need], device: torch.device) -> bool:
    """Returns whether subjects fit side by side; where the system does not say how much is free, they do."""
    free = free_memory(device)
    return free is None or together(each for need in all_needs for each in need.each) <= FITS * free


def refuse_what_does_not_fit(all_needs: Sequence[Need], device: torch.device, *, laptop: str | None) -> None:
    """Checks that all subjects fit together: they stand side by side, so that rounds can alternate.

    Args:
        all_needs: What each subject takes.
        device: The device that they would share.
        laptop: The command that measures the same at a small size, or None.

    Raises:
        WeightsError: They do not fit; the text names what each takes and what is there.
    """
    if fits(all_needs, device):
        return
    total = together(each for need in all_needs for each in need.each)
    each = ", ".join(f"{need.subject} {gigabytes(need.total)}" for need in all_needs)
    hints = ["A smaller --dtype (bfloat16 takes half of float32), shorter prompts or a smaller --batch take less."]
    if laptop is not None:
        hints.append(f"At a size for this machine: {laptop}")
    free = gigabytes(free_memory(device) or 0)
    raise WeightsError(
        f"this needs {gigabytes(total)} of memory ({each}), and {device} has {free} free",
        hint="\n".join(hints),
    )


def least_seconds(need: Need, settings: Settings, bandwidth: float) -> float:
    """Returns how long the decoding of all rounds takes at least: the weights, once per token.

    Args:
        need: What the subject takes.
        settings: The settings that say how many tokens and rounds.
        bandwidth: Bytes per second.
    """
    steps = (1 + settings.warmup + settings.repeats) * settings.new_tokens
    return steps * sum(dtype_need.weights for dtype_need in need.each) / bandwidth


def _need(subject: Subject, settings: Settings, device: torch.device, dtype: torch.dtype) -> InferenceNeed:
    paper = settings.protocol == COBRA
    images = [count for count in settings.image_tokens if count]
    return inference_need(
        subject.resolved,
        device=device,
        dtype=dtype,
        rows=1 if paper else max(settings.batch),
        text_tokens=_PAPER_TEXT if paper else max(settings.prompt_tokens),
        new_tokens=settings.new_tokens,
        extra_tokens=0 if paper else max(images, default=0),
    )
