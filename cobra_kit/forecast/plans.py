"""The facts of a study that a forecast needs: it is made before there is one, and without the code that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cobra_kit.recipe import Recipe, ResolvedRecipe
from cobra_kit.recipe.sections import EvaluateSection, TrainSection


class RunPlan(Protocol):
    """One run: an arm and a seed."""

    @property
    def arm(self) -> str:
        """Returns the arm's name."""

    @property
    def seed(self) -> int:
        """Returns the seed of its random numbers."""

    @property
    def resolved(self) -> ResolvedRecipe:
        """Returns its recipe, complete."""

    @property
    def train(self) -> TrainSection:
        """Returns how it is trained."""

    @property
    def evaluate(self) -> EvaluateSection:
        """Returns how it is evaluated."""

    @property
    def trained(self) -> str:
        """Returns all of the recipe that training may depend on, as text."""


class StudyPlan(Protocol):
    """All runs of a recipe."""

    @property
    def recipe(self) -> Recipe:
        """Returns the recipe."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Returns the arms in the recipe's order."""

    @property
    def reference(self) -> str:
        """Returns the arm that the others are compared with."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Returns the seeds in the recipe's order."""

    @property
    def runs(self) -> Sequence[RunPlan]:
        """Returns one run per arm and seed."""
