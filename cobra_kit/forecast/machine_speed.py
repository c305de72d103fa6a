"""The speed of this machine at a run's work: what `measuring` measured, kept for next time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from cobra_kit import __version__
from cobra_kit.errors import UnreadableFile
from cobra_kit.files import read_mapping, user_cache, write_json
from cobra_kit.forecast.plans import RunPlan
from cobra_kit.machine import cores, processor


@dataclass(frozen=True, slots=True)
class StageSpeed:
    """Seconds per optimiser step of a stage.

    Args:
        first: Seconds while its curriculum lasts.
        rest: Seconds after the curriculum.
        tokenising: Seconds per training row, once.
    """

    first: float
    rest: float
    tokenising: float


@dataclass(frozen=True, slots=True)
class Answering:
    """The time that questions of one benchmark take.

    Args:
        questions: How many questions the sample's test split has.
        seconds: Seconds per question.
    """

    questions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """The measured speed of this machine on one run.

    Args:
        measured: The time of measuring, ISO 8601.
        load: The machine's load average then; above its number of cores others were using it.
        starting: Seconds until a new process has imported what a run needs; 0 where that could not be tried.
        composing: Seconds until the model stands.
        drawing: Seconds per image.
        features: Seconds per image; 0 where the encoder is trained.
        stages: The speed of each stage, by its name.
        benchmarks: The speed of answering each benchmark, by its name.
    """

    measured: str
    load: float
    starting: float
    composing: float
    drawing: float
    features: float
    stages: Mapping[str, StageSpeed] = field(default_factory=dict)
    benchmarks: Mapping[str, Answering] = field(default_factory=dict)


def known_speed(run: RunPlan) -> MachineSpeed | None:
    """Returns this machine's speed on runs like this one; None where it was not measured, or the file is damaged."""
    try:
        return TypeAdapter(MachineSpeed).validate_python(read_mapping(_file(run)))
    except (OSError, UnreadableFile, ValidationError):
        return None


def keep_speed(run: RunPlan, speed: MachineSpeed) -> None:
    """Writes down this machine's speed on runs like this one."""
    file = _file(run)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, asdict(speed))


def _file(run: RunPlan) -> Path:
    return user_cache() / "speed" / f"{_key(run)}.json"


def _key(run: RunPlan) -> str:
    """Returns a hash of the machine and of everything in a recipe that a second of its work depends on."""
    plain = run.resolved.plain()
    sizes = {"train", "val", "test", "seed", "towers"}
    data = {key: value for key, value in plain.get("data", {}).items() if key not in sizes}
    identity: dict[str, Any] = {
        "version": __version__,
        "machine": machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "kernel": os.environ.get("COBRA_KIT_MAMBA_KERNEL", ""),
        "instruction set": os.environ.get("COBRA_KIT_MAMBA_ISA", ""),
        "model": plain["model"],
        "data": data,
        "train": {
            name: stage.model_dump(mode="json", exclude={"epochs", "steps", "learning_rate"})
            for name, stage in run.train.stages().items()
        },
        "evaluate": run.evaluate.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def machine() -> str:
    """Returns the processor's name and how many cores this process may use."""
    return f"{processor()}, {cores()} cores"
