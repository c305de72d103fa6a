"""The ablation table as data. All scores and differences are in points, 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cobra_kit.report.learning import LearningTable
from cobra_kit.report.machines import RunMachine

Verdict = Literal["higher", "lower", "unclear", "tie", "unknown", "unjudged"]

MIN_SEEDS = 3
"""Training seeds of each arm that a verdict needs: of fewer, nobody knows how far results scatter between them."""

SMALL_CHOICE_MASS = 0.1
"""Where the choices of a first-token score are less probable than this in the mean, the table says so."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An arm's score on a benchmark.

    Args:
        value: Mean over seeds, points.
        low: Lower end of its interval, None without one.
        high: Upper end of its interval, None without one.
        seed_deviation: Standard deviation over seeds, None with one seed.
    """

    value: float
    low: float | None
    high: float | None
    seed_deviation: float | None


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """An arm's score minus the reference's, paired by question.

    Args:
        value: The difference in points.
        low: Lower end of its interval, None without one.
        high: Upper end of its interval, None without one.
        p_value: Two-sided bootstrap p value of no difference; None where nothing is judged.
        p_holm: The same, corrected for all comparisons of the table; None where it is not one of them.
        detectable: The smallest true difference that this comparison would see in 4 of 5 repetitions, points;
            None where the two never differ or nothing is judged.
        seeds: Training seeds of each arm that it rests on.
        level: The level of the interval, such as 0.95.
    """

    value: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    detectable: float | None
    seeds: int
    level: float = 0.95

    @property
    def verdict(self) -> Verdict:
        """Which arm is ahead, if that can be said.

        `unjudged`: of too few training seeds. `unknown`: there is no interval. `tie`: the interval holds 0. `unclear`:
        it does not, but among so many comparisons one would by chance.
        """
        if self.seeds < MIN_SEEDS:
            return "unjudged"
        if self.low is None or self.high is None:
            return "unknown"
        if self.low <= 0 <= self.high:
            return "tie"
        if self.p_holm is not None and self.p_holm >= 1 - self.level:
            return "unclear"
        return "higher" if self.low > 0 else "lower"


@dataclass(frozen=True, slots=True)
class TablePart:
    """One group of a benchmark's questions, such as a level of difficulty or a POPE split.

    Args:
        name: Such as `spatial/1` (level 1 is the easiest) or `adversarial`.
        questions: Number of questions.
        floor: Points reached without looking at the image.
        scores: Arm to score.
    """

    name: str
    questions: int
    floor: float | None
    scores: Mapping[str, Estimate]

    @property
    def at_floor(self) -> bool:
        """Whether no arm is surely above what a model without the image reaches."""
        return _at_floor(self.floor, self.scores)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One benchmark of an ablation table.

    Args:
        benchmark: Name of the benchmark.
        label: The paper's name for it, empty where it has none.
        rule: The scoring rule of every number in this row.
        questions: Number of questions.
        images: Number of images, the unit of resampling.
        floor: Points reached without looking at the image.
        ceiling: The most points that can be reached.
        scores: Arm to score.
        differences: Arm to difference; the reference arm is left out.
        controls: Arm to its score with the right images minus that with wrong ones.
        parts: The groups of its questions; none where there is only one.
        choice_mass: Arm to how probable it is, 0 to 1, that one of the choices comes first: the mean over questions of
            the seed where it is least. Empty where answers are generated.
        control_choice_mass: The same with wrong images.
        protocol: How it was asked and scored, a text by the name of each part; empty where nobody recorded it.
        afterwards: Whether it is none of the study's own, but was asked of finished runs.
    """

    benchmark: str
    label: str
    rule: str
    questions: int
    images: int
    floor: float | None
    ceiling: float | None
    scores: Mapping[str, Estimate]
    differences: Mapping[str, ScoreDifference]
    controls: Mapping[str, ScoreDifference]
    parts: tuple[TablePart, ...] = ()
    choice_mass: Mapping[str, float] = field(default_factory=dict)
    control_choice_mass: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, str] = field(default_factory=dict)
    afterwards: bool = False

    @property
    def at_floor(self) -> bool:
        """Whether no arm is surely above what a model without the image reaches."""
        return _at_floor(self.floor, self.scores)

    @property
    def detectable(self) -> float | None:
        """The largest of the comparisons' smallest detectable differences, in points."""
        known = [difference.detectable for difference in self.differences.values() if difference.detectable is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class ArmCost:
    """The cost of an arm. See `ArmResult` for the units."""

    image_tokens: int | None
    parameters_trained: int | None
    training_seconds: float | None
    tokens_per_second: float | None
    shared_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PaperNote:
    """The paper's result for the same factor.

    Args:
        title: Such as `Cobra-3.5B, Table 5`.
        source: Paper and version.
        confidence: `verbatim` or `secondary`.
        note: What to know before comparing; may be empty.
        columns: The published columns that the table's benchmarks stand beside, in the table's order.
        rows: Arm to the name of the published row.
        scores: Arm to column to published score.
        differences: Arm to column to difference to the reference arm's row.
    """

    title: str
    source: str
    confidence: str
    note: str
    columns: tuple[str, ...]
    rows: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]
    differences: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class AblationTable:
    """Arms by benchmarks.

    Args:
        factor: What the arms differ in, such as `model.projector`.
        profile: The recipe's profile.
        split: The split that was scored.
        reference: The arm that the others are compared with.
        arms: All arms, the reference first.
        seeds: Training seeds; every number is the mean over them.
        level: The level of all intervals, such as 0.95.
        rows: One per benchmark.
        costs: Arm to cost.
        paper: What the paper found, None where nothing is to be compared.
        notes: What else a reader must know, such as runs that are missing.
        learning: Steps to a level; None where no run was validated, or an older version made the table.
        machines: Where its runs were made; none where that is not recorded.
    """

    factor: str
    profile: str
    split: str
    reference: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    level: float
    rows: tuple[TableRow, ...]
    costs: Mapping[str, ArmCost]
    paper: PaperNote | None
    notes: tuple[str, ...]
    learning: LearningTable | None = None
    machines: tuple[RunMachine, ...] = ()

    @property
    def title(self) -> str:
        """Such as `Projector ablation, laptop profile, test split, 1 seed`."""
        factors = [factor.rsplit(".", 1)[-1].replace("_", " ") for factor in self.factor.split(" and ") if factor]
        head = f"{' and '.join(factors).capitalize()} ablation" if factors else "Results"
        profile = [f"{self.profile} profile"] if self.profile else []
        seeds = "1 seed" if len(self.seeds) == 1 else f"{len(self.seeds)} seeds"
        split = f"{self.split} split" if self.rows else "not evaluated"
        return ", ".join([head, *profile, split, seeds])

    @property
    def others(self) -> tuple[str, ...]:
        """The arms that are compared with the reference."""
        return tuple(arm for arm in self.arms if arm != self.reference)

    @property
    def comparisons(self) -> tuple[tuple[TableRow, str, ScoreDifference], ...]:
        """Every difference of the table."""
        return tuple((row, arm, difference) for row in self.rows for arm, difference in row.differences.items())


def _at_floor(floor: float | None, scores: Mapping[str, Estimate]) -> bool:
    ends = [score.value if score.low is None else score.low for score in scores.values()]
    return floor is not None and all(end <= floor for end in ends)
