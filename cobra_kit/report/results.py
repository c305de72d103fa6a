"""The results that a table is built from: benchmarks, and the scores and costs of each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cobra_kit.statistics import QuestionScore

# benchmark -> training seed -> scored questions
Scores = Mapping[str, Mapping[int, Sequence[QuestionScore]]]
# (step, accuracy on validation, 0 to 1), in order of steps
ValidationCurve = Sequence[tuple[float, float]]
# stage -> training seed -> benchmark, or `mean` -> curve
Validations = Mapping[str, Mapping[int, Mapping[str, ValidationCurve]]]
# benchmark -> training seed -> how probable it is in the mean that one of the choices comes first, 0 to 1
ChoiceMasses = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkInfo:
    """A benchmark as one row of the table.

    Args:
        name: Such as `presence` or `vqav2`; also decides which column of the paper it is read beside.
        rule: The scoring rule, such as `pope/first-token`.
        floor: What is reached without looking at the image, 0 to 1.
        ceiling: The most that can be reached where annotators disagree, 0 to 1.
        mean_of_groups: Whether its number is the mean of the groups' means, as the rule says.
        group_floors: What is reached without looking in single groups, 0 to 1.
        left_out: Questions that were not asked, since their images cannot be read.
        protocol: How it was asked and scored, a text by the name of each part; empty where nobody recorded it.
        afterwards: Whether it is none of the study's own, but was asked of finished runs.
    """

    name: str
    rule: str
    floor: float | None = None
    ceiling: float | None = None
    mean_of_groups: bool = False
    group_floors: Mapping[str, float] = field(default_factory=dict)
    left_out: int = 0
    protocol: Mapping[str, str] = field(default_factory=dict)
    afterwards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """The outcome of one arm.

    Args:
        name: The arm's name in the recipe.
        scores: The scored questions of each benchmark and seed.
        control: The same questions asked with wrong images, where that was done.
        choice_mass: How probable the choices of first-token scores are; benchmarks of other rules are left out.
        control_choice_mass: The same with wrong images.
        image_tokens: Tokens of one image in the language model's input.
        parameters_trained: How many parameters training changed.
        training_seconds: Seconds of training, mean over seeds, without stages that other runs use too.
        shared_seconds: Seconds of those stages, mean over seeds.
        finished: Seeds whose runs are finished; None: those that `scores` has. Without benchmarks, scores have none.
        tokens_per_second: Tokens trained on per second, mean over seeds.
        validations: Accuracy on validation while training, by stage in their order.
    """

    name: str
    scores: Scores
    control: Scores = field(default_factory=dict)
    choice_mass: ChoiceMasses = field(default_factory=dict)
    control_choice_mass: ChoiceMasses = field(default_factory=dict)
    image_tokens: int | None = None
    parameters_trained: int | None = None
    training_seconds: float | None = None
    tokens_per_second: float | None = None
    shared_seconds: float = 0.0
    finished: frozenset[int] | None = None
    validations: Validations = field(default_factory=dict)

    @property
    def finished_seeds(self) -> frozenset[int]:
        """The training seeds of its finished runs."""
        if self.finished is not None:
            return self.finished
        return frozenset(seed for runs in self.scores.values() for seed in runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperReference:
    """The rows of a published table to read beside the arms, as a recipe's `ablation.paper` names them.

    Args:
        table: Name of the packaged table.
        rows: Arm to row.
    """

    table: str
    rows: Mapping[str, str]
