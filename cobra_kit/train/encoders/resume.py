"""The file that a killed pretraining run goes on from: weights, the optimiser's state, the step.

Images and phrases of a step depend on the seed and the step alone, so nothing else has to be kept.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from cobra_kit.errors import WeightsError
from cobra_kit.recipe.pretraining import recipe_hash
from cobra_kit.train.encoders.recipe import PretrainRecipe
from cobra_kit.train.loop_state import LoopState
from cobra_kit.train.stage_progress import StageProgress
from cobra_kit.weights import load_into, load_metadata, load_tensors, save_tensors

_WEIGHTS, _OPTIMISER = "model.", "adam."


class ResumeFile:
    """The file that a killed pretraining run goes on from.

    Args:
        path: Path of the file.
        recipe: The recipe of the run; a file of another one is refused.
        module: The module that is trained.
    """

    def __init__(self, path: Path, recipe: PretrainRecipe, module: nn.Module) -> None:
        self._path, self._module = path, module
        self._recipe = recipe_hash(recipe)

    def load(self) -> LoopState | None:
        """Puts back the weights; returns the rest of what was saved, None where there is no file.

        Raises:
            WeightsError: The file is damaged or belongs to another recipe.
        """
        if not self._path.exists():
            return None
        header, tensors = load_metadata(self._path), load_tensors(self._path)
        if header.get("recipe") != self._recipe:
            raise WeightsError(
                "an unfinished run of another recipe stands here",
                where=str(self._path),
                hint="Remove the file to start over, or give another --out.",
            )
        load_into(self._module, tensors, source=str(self._path), prefix=_WEIGHTS)
        moments = {n.removeprefix(_OPTIMISER): tensor for n, tensor in tensors.items() if n.startswith(_OPTIMISER)}
        step = header.get("step", "")
        if not (step.isascii() and step.isdecimal()):
            raise WeightsError("does not say at which step it stands", where=str(self._path), hint="Remove the file.")
        return LoopState(StageProgress(step=int(step)), optimiser=moments)

    def save(self, state: LoopState) -> None:
        """Writes the file."""
        tensors = {f"{_WEIGHTS}{name}": tensor for name, tensor in self._module.state_dict().items()}
        tensors |= {f"{_OPTIMISER}{name}": tensor for name, tensor in state.optimiser.items()}
        save_tensors(self._path, tensors, {"recipe": self._recipe, "step": str(state.progress.step)})
