"""What a killed pretraining run needs to go on, in one file: weights, the optimiser's state, the step.

Pictures and phrases of a step depend on the seed and the step alone, so nothing else has to be kept.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import torch
from torch import nn

from cobra_kit.errors import WeightsError
from cobra_kit.train.encoders.recipe import PretrainRecipe
from cobra_kit.train.optimiser import load_optimiser_tensors, optimiser_tensors
from cobra_kit.weights import load_into, load_metadata, load_tensors, save_tensors

_EVERY = 60.0  # seconds


class ResumeFile:
    """The file; nothing happens where `path` is None.

    Args:
        path: Where it is.
        recipe: Another recipe's file is refused.
        module: What is trained.
        optimiser: Its optimiser.
    """

    def __init__(
        self, path: Path | None, recipe: PretrainRecipe, module: nn.Module, optimiser: torch.optim.AdamW
    ) -> None:
        self._path, self._module, self._optimiser = path, module, optimiser
        self._recipe = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
        self._last = time.monotonic()

    def load(self) -> int:
        """Puts back weights and optimiser; returns the steps that were done, 0 where there is no file.

        Raises:
            WeightsError: The file is damaged or belongs to another recipe.
        """
        if self._path is None or not self._path.exists():
            return 0
        header, tensors = load_metadata(self._path), load_tensors(self._path)
        if header.get("recipe") != self._recipe:
            raise WeightsError(
                "an unfinished run of another recipe stands here",
                where=str(self._path),
                hint="Remove the file to start over, or give another --out.",
            )
        load_into(self._module, tensors, source=str(self._path), prefix="model.")
        state = {name.removeprefix("adam."): value for name, value in tensors.items() if name.startswith("adam.")}
        load_optimiser_tensors(self._module, self._optimiser, state)
        return int(header["step"])

    def save_now_and_then(self, step: int) -> None:
        """Writes the file if the last time was a minute ago."""
        if self._path is not None and time.monotonic() - self._last >= _EVERY:
            self.save(step)

    def save(self, step: int) -> None:
        """Writes the file after this many steps."""
        assert self._path is not None
        self._last = time.monotonic()
        tensors = {f"model.{name}": value for name, value in self._module.state_dict().items()}
        tensors |= {f"adam.{name}": v for name, v in optimiser_tensors(self._module, self._optimiser).items()}
        save_tensors(self._path, tensors, {"recipe": self._recipe, "step": str(step)})
