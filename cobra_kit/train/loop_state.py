"""The state that a killed training needs to go on, beside the weights, and how a checkpoint names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from torch import Tensor

from cobra_kit.train.checkpoint import Checkpoint
from cobra_kit.train.stage_progress import StageProgress

_OPTIMISER, _RANDOM = "optimiser/", "random/"
_PROGRESS, _POSITION = "tally", "samplers"  # keys of checkpoints: older runs have them, so they keep their names


@dataclass(frozen=True, slots=True)
class LoopState:
    """The state of the core after a step.

    Args:
        progress: How far the stage is.
        position: Where the task's drawing stands, JSON-able.
        optimiser: The optimiser's tensors by `<parameter>/<moment>`.
        random: The random state of torch; empty where nothing random depends on it.
    """

    progress: StageProgress
    position: Mapping[str, Any] = field(default_factory=dict)
    optimiser: Mapping[str, Tensor] = field(default_factory=dict)
    random: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self | None:
        """Returns the state that a checkpoint holds, or None where it stands at the end of a stage."""
        if _PROGRESS not in checkpoint.state:
            return None
        return cls(
            StageProgress(**checkpoint.state[_PROGRESS]),
            checkpoint.state[_POSITION],
            _below(_OPTIMISER, checkpoint.tensors),
            _below(_RANDOM, checkpoint.tensors),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Returns the tensors, of any shape, under the names that checkpoints have for them."""
        tensors = {f"{_OPTIMISER}{name}": tensor for name, tensor in self.optimiser.items()}
        return tensors | {f"{_RANDOM}{name}": tensor for name, tensor in self.random.items()}

    def plain(self) -> dict[str, Any]:
        """Returns everything else, as JSON takes it."""
        return {_PROGRESS: asdict(self.progress), _POSITION: self.position}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
