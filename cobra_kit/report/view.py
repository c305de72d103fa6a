"""The contents of a report beside the table, as data; whoever reads a study's files fills it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cobra_kit.report.sweep import SweepView
from cobra_kit.report.table import AblationTable

RunState = Literal["finished", "trained", "training", "stopped", "not started"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCurve:
    """The figures that a run logged in one stage.

    Args:
        stage: Such as `finetune`.
        losses: (step, loss per supervised token), in order.
        validations: (step, mean score on validation, 0 to 1), in order.
        accuracies: Benchmark to the same of that benchmark.
    """

    stage: str
    losses: Sequence[tuple[float, float]] = ()
    validations: Sequence[tuple[float, float]] = ()
    accuracies: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run of a study.

    Args:
        name: Its folder, such as `mlp-s7`.
        arm: Name of its arm.
        seed: Its training seed.
        state: How far it is; `trained` lacks scores; `stopped` was begun, and nobody works on it.
        step: The last step that was logged.
        curves: The curves of each stage, in order.
    """

    name: str
    arm: str
    seed: int
    state: RunState
    step: int | None = None
    curves: Sequence[StageCurve] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImage:
    """An image inside the page.

    Args:
        data: As a `data:` address.
        width: Pixels at which it is shown.
        height: Pixels at which it is shown.
        pixelated: Whether it is magnified, pixels and all.
    """

    data: str
    width: int
    height: int
    pixelated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An arm's answer to a question.

    Args:
        arm: Name of the arm.
        text: What the scoring rule compared.
        score: 0 (wrong) to 1 (right).
    """

    arm: str
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DisagreementQuestion:
    """A question on which two arms disagree.

    Args:
        question_id: Within its benchmark.
        group: The part of the benchmark it belongs to; may be empty.
        prompt: What both were asked; empty where the data cannot be opened.
        truth: The right answer, as the benchmark gives it.
        replies: The reference's and the other arm's.
        image: None where the data cannot be opened.
    """

    question_id: str
    group: str
    prompt: str
    truth: str
    replies: tuple[Reply, Reply]
    image: ReportImage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisagreementExample:
    """Questions of one benchmark on which two arms disagree: one is right, the other wrong.

    Args:
        benchmark: Name of the benchmark.
        reference: Name of the reference arm.
        other: Name of the other arm.
        seed: The training seed of both runs.
        questions: How many questions both answered.
        won: How many the other has right and the reference wrong.
        lost: How many the reference has right and the other wrong.
        sample: Some of both, the same ones each time.
    """

    benchmark: str
    reference: str
    other: str
    seed: int
    questions: int
    won: int
    lost: int
    sample: tuple[DisagreementQuestion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A line to type.

    Args:
        purpose: What the command does, in words.
        line: The line, quoted for a shell.
    """

    purpose: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file of the study, whole.

    Args:
        name: The file's name.
        text: The file's whole content.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """Everything on the page.

    Args:
        title: Heading of the page.
        description: What the study is for; may be empty.
        table: The table of finished runs; None where no run is finished.
        runs: All runs, finished or not.
        missing: What is not done, sentences without a full stop.
        disagreements: The disagreements, per benchmark and pair of arms.
        images_missing: Why disputed questions have no images; empty where they have.
        facts: What the numbers depend on: (name, value).
        documents: Files to show whole.
        commands: The commands that run it again.
        sweep: Its trials, if the study is a sweep.
    """

    title: str
    description: str = ""
    table: AblationTable | None = None
    runs: tuple[RunView, ...] = ()
    missing: tuple[str, ...] = ()
    disagreements: tuple[DisagreementExample, ...] = ()
    images_missing: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    documents: tuple[Document, ...] = ()
    commands: tuple[Command, ...] = ()
    sweep: SweepView | None = None
