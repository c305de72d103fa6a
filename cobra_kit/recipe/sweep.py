"""The section `sweep`: what to search through, for what, and how."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from cobra_kit.recipe.sections import Section

Scalar = str | int | float | bool | None
Direction = Literal["maximize", "minimize"]

MEAN = "mean"
"""The mean over all benchmarks, as an objective."""
COSTS: dict[str, Direction] = {
    "tokens_per_second": "maximize",
    "training_seconds": "minimize",
    "parameters": "minimize",
    "parameters_trained": "minimize",
    "image_tokens": "minimize",
    "memory_bytes": "minimize",
}
"""Objectives and limits that are no benchmark, and which way is better."""


MAX_TRIALS = 100_000
"""Of a search, a grid or an ablation: more than anybody runs."""
MAX_CHOICES = 1_000
"""Of one setting; each is tried on the recipe before the first trial."""
_MAX_WHOLE = 2**53  # samplers compute with floats, which hold every whole number up to here


class Choice(Section):
    """A setting, or one of several alternatives, that is sought."""

    choices: list[Scalar] | dict[str, Any] | None = None
    """Values to choose from; or named alternatives, each a value or a mapping laid over the recipe at this path."""
    low: int | float | None = None
    """Smallest value of a number."""
    high: int | float | None = None
    """Largest value of a number; itself sought where it is whole steps above `low`."""
    step: int | float | None = None
    """Distance between values; null: any (whole numbers: 1)."""
    log: bool = False
    """Sought on a logarithmic scale."""
    when: dict[str, Scalar | list[Scalar]] | None = None
    """Only sought where other settings of this space have one of these values, such as a component's name."""

    @property
    def is_number(self) -> bool:
        """Returns whether a range is sought, and no list."""
        return self.choices is None

    @property
    def is_whole(self) -> bool:
        """Returns whether the values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def count(self) -> int | None:
        """Returns how many values there are; None where they lie as close as floats do."""
        if self.choices is not None:
            return len(self.choices)
        if self.log and not self.is_whole:
            return None
        if self.step is None and not self.is_whole:
            return None
        return int((_exact(self.high) - _exact(self.low)) // _exact(self.step or 1)) + 1

    def values(self) -> Sequence[Scalar]:
        """Returns all values in order, or the names of the alternatives; only where there is a `count`."""
        if self.choices is not None:
            return list(self.choices)
        count = self.count
        assert count is not None
        return [self.value(number) for number in range(count)]

    def value(self, number: int) -> int | float:
        """Returns a value of a range with steps by its place, from 0.

        Steps are the decimal numbers that the recipe shows: 0.1 and two steps of 0.1 are 0.3, where floats would add
        up to 0.30000000000000004.
        """
        value = _exact(self.low) + number * _exact(self.step or 1)
        return int(value) if self.is_whole else float(value)

    def nearest(self, value: float) -> float:
        """Returns the value that a float stands for, which may have been reached in binary steps."""
        count = self.count
        assert count is not None
        number = round((_exact(value) - _exact(self.low)) / _exact(self.step or 1))
        return float(self.value(min(max(number, 0), count - 1)))

    @model_validator(mode="after")
    def _is_one_kind(self) -> Choice:
        if (self.choices is None) == (self.low is None and self.high is None):
            raise ValueError("expected either choices, or low and high")
        if self.choices is not None:
            if not self.choices:
                raise ValueError("expected at least one choice")
            if len(self.choices) > MAX_CHOICES:
                raise ValueError(f"expected at most {MAX_CHOICES:,} choices, found {len(self.choices):,}")
            if self.log or self.step is not None:
                raise ValueError("expected low and high beside log or step")
            return self
        if self.low is None or self.high is None:
            raise ValueError("expected both low and high")
        if max(abs(self.low), abs(self.high)) > _MAX_WHOLE and self.is_whole:
            raise ValueError(f"expected whole numbers of at most {_MAX_WHOLE:,}, found {self.low:,} to {self.high:,}")
        if not self.low < self.high:
            raise ValueError(f"expected low below high, found {self.low} and {self.high}")
        if self.step is not None and (self.log or self.step <= 0):
            raise ValueError("expected a step above 0 and no log beside it")
        if self.step is not None and _exact(self.step) > _exact(self.high) - _exact(self.low):
            raise ValueError(f"expected a step that fits between low and high, found {self.step}: only low is left")
        if self.step is not None and (count := self.count or 0) > _MAX_WHOLE:
            raise ValueError(f"expected at most {_MAX_WHOLE:,} steps between low and high, found {count:,}")
        if self.log and self.low <= 0:
            raise ValueError(f"expected low above 0 on a logarithmic scale, found {self.low}")
        return self


def _exact(value: float | None) -> Fraction:
    """Returns a number as it is written, not as its nearest binary fraction."""
    assert value is not None
    return Fraction(repr(value))


class ObjectiveSection(Section):
    """The goal of a search: a benchmark's accuracy on the validation split, or a cost."""

    metric: str
    """A benchmark of the data source, `mean` over all of them, or a cost such as `tokens_per_second`."""
    direction: Direction | None = None
    """Which way is better; null: more accuracy and speed, less of everything else."""

    @property
    def better(self) -> Direction:
        """Returns which way is better."""
        return self.direction or COSTS.get(self.metric, "maximize")


class LimitSection(Section):
    """A cost that must be kept; a trial that cannot keep it is pruned before it costs anything where that is known."""

    metric: str
    """A cost such as `parameters`."""
    at_most: float | None = None
    """The most that the cost may be."""
    at_least: float | None = None
    """The least that the cost may be."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> LimitSection:
        if self.at_most is None and self.at_least is None:
            raise ValueError("expected at_most or at_least")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise ValueError(f"expected at_least up to at_most, found {self.at_least:g} and {self.at_most:g}")
        return self

    @field_validator("metric")
    @classmethod
    def _is_a_cost(cls, value: str) -> str:
        if value not in COSTS:
            raise ValueError(f"expected a cost, found {value!r}; the costs are {', '.join(COSTS)}")
        return value


class NamedSection(Section):
    """An algorithm of Optuna's and its options, flat beside `use`."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)

    use: str = Field(min_length=1)
    """Name of the algorithm."""

    def options(self) -> dict[str, Any]:
        """Returns the algorithm's own options."""
        return dict(self.model_extra or {})


class SweepSection(Section):
    """A search: many trials of one recipe, each with other settings."""

    space: Annotated[dict[str, Choice], Field(min_length=1, max_length=100)]
    """What is sought, by its path in the recipe, such as `model.projector.use` or `train.finetune.learning_rate`."""
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 30
    """How many trials; those that are pruned count."""
    objectives: Annotated[list[ObjectiveSection], Field(min_length=1)] = Field(default=[ObjectiveSection(metric=MEAN)])
    """What is sought; with several, the trials that no other beats in all of them."""
    limits: list[LimitSection] = Field(default=[])
    """Costs that must be kept."""
    sampler: NamedSection = NamedSection(use="tpe")
    """How the next trial is chosen: `tpe`, `gp`, `cmaes`, `nsgaii`, `random` or `grid`."""
    pruner: NamedSection | None = None
    """How a poor trial is stopped early: `median`, `halving`, `hyperband` or `wilcoxon`; null: never."""
    seed: int = 0
    """Of the sampler; the trials' own seed is the recipe's."""

    @field_validator("objectives")
    @classmethod
    def _objectives_differ(cls, value: list[ObjectiveSection]) -> list[ObjectiveSection]:
        names = [objective.metric for objective in value]
        if len(set(names)) < len(names):
            raise ValueError(f"expected different objectives, found {', '.join(names)}")
        return value

    @model_validator(mode="after")
    def _conditions_are_in_the_space(self) -> SweepSection:
        before: list[str] = []
        for path, choice in self.space.items():
            for other in choice.when or ():
                if other not in before:
                    known = ", ".join(before) or "none"
                    raise ValueError(f"{path}: when names {other!r}, which does not stand above it (above: {known})")
            before.append(path)
        return self

    @model_validator(mode="after")
    def _pruning_has_one_objective(self) -> SweepSection:
        if self.pruner is not None and len(self.objectives) > 1:
            raise ValueError("expected no pruner, or one objective: Optuna prunes by one value")
        return self
