"""Views for the tests of the page: tables and sweeps that no run has made."""

from __future__ import annotations

import random
from dataclasses import replace

from cobra_kit.report import (
    AblationTable,
    ArmCost,
    Estimate,
    LearningRow,
    LearningTable,
    PaperNote,
    RunMachine,
    ScoreDifference,
    StepRatio,
    StepsToLevel,
    TablePart,
    TableRow,
)
from cobra_kit.report.sweep import Objective, SweepView, Trial, TrialState
from cobra_kit.report.view import (
    Command,
    DisagreementExample,
    DisagreementQuestion,
    Document,
    Reply,
    ReportImage,
    ReportView,
    RunView,
    StageCurve,
)

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


def table(
    arms: tuple[str, ...] = ("mlp", "ldpv2"), benchmarks: tuple[str, ...] = ("presence", "reading")
) -> AblationTable:
    """Returns a table of some arms, the first the reference."""
    rows = tuple(_row(name, arms) for name in benchmarks)
    costs = {arm: ArmCost(64, 1_210_000, 100.0 + 50 * index, 4000.0 + index) for index, arm in enumerate(arms)}
    return AblationTable(
        "model.projector", "laptop", "test", arms[0], arms, (7, 8, 9), 0.95, rows, costs, paper_note(arms), ("a note",)
    )


def paper_note(arms: tuple[str, ...]) -> PaperNote:
    """Returns what the paper found for these arms, the first the reference."""
    return PaperNote(
        title="Cobra-3.5B, Table 5",
        source="arXiv 2403.14520v4, Table 5",
        confidence="verbatim",
        note="One run each.",
        columns=("pope", "textvqa"),
        rows={arm: f"row of {arm}" for arm in arms},
        scores={arm: {"pope": 88.4, "textvqa": 58.2} for arm in arms},
        differences={arm: {"pope": -0.7, "textvqa": 0.0} for arm in arms[1:]},
    )


def view(arms: tuple[str, ...] = ("mlp", "ldpv2"), *, word: str = "word", sweep: SweepView | None = None) -> ReportView:
    """Returns a view with something in every section; `word` stands wherever text of others can."""
    reference, other = arms[0], arms[1]
    dispute = DisagreementQuestion(
        question_id=word,
        group=word,
        prompt=word,
        truth="[0.1, 0.2, 0.5, 0.6]",
        replies=(Reply(arm=reference, text=word, score=0.0), Reply(arm=other, text="[0, 0, 1, 1]", score=1.0)),
        image=ReportImage(data=PIXEL, width=128, height=128, pixelated=True),
    )
    curve = StageCurve(
        stage=word,
        losses=[(float(step), 5.0 / step) for step in range(1, 1000)],
        validations=[(400.0, 0.5), (800.0, 0.7)],
        accuracies={"presence": [(400.0, 0.5), (800.0, 0.7)], word: [(400.0, 0.4), (800.0, 0.9)]},
    )
    whole = replace(
        table(arms, ("presence", "reading", word)),
        learning=_learning(arms, word),
        machines=(RunMachine(word, 256, 1, word),),
    )
    return ReportView(
        title=word,
        description=word,
        table=whole,
        runs=tuple(
            RunView(name=f"{arm}-s{seed}", arm=arm, seed=seed, state="finished", step=999, curves=(curve,))
            for arm in arms
            for seed in ((7, 8, 9) if arm == reference else (7,))
        ),
        missing=(word,),
        disagreements=(
            DisagreementExample(
                benchmark=word,
                reference=reference,
                other=other,
                seed=7,
                questions=100,
                won=10,
                lost=8,
                sample=(dispute, dispute),
            ),
        ),
        facts=((word, word),),
        documents=(Document(name=word, text=word),),
        commands=(Command(purpose=word, line=word),),
        sweep=sweep,
    )


def sweep(count: int = 200, *, word: str = "mlp/fused", objectives: int = 2) -> SweepView:
    """Returns a search over an encoder, a projector, a learning rate and a depth; the same one each time."""
    draw = random.Random(0)
    states: list[TrialState] = ["complete"] * 12 + ["pruned"] * 5 + ["failed", "infeasible", "running"]
    trials = []
    for number in range(count):
        state = states[number % len(states)]
        rate = 10 ** draw.uniform(-5, -2)
        value = 0.7 - abs(rate - 1e-3) * 20 + draw.gauss(0, 0.02)
        trials.append(
            Trial(
                number=number,
                state=state,
                parameters={
                    "model.projector.use": draw.choice([word, "ldpv2/fused", "mlp/gelu"]),
                    "train.finetune.learning_rate": rate,
                    "model.backbone.n_layer": draw.randint(1, 4),
                    "model.backbone.residual": draw.random() < 0.5,
                },
                values=(value, draw.uniform(1e3, 3e4))[:objectives] if state == "complete" else (),
                intermediate={} if state == "infeasible" else {step: value * step / 800 for step in range(80, 801, 80)},
                seconds=draw.uniform(20, 60),
                worker="host-1",
                error=word if state in {"failed", "infeasible"} else "",
            )
        )
    named = (
        Objective(name="presence", direction="maximize"),
        Objective(name="tokens per second", direction="maximize"),
    )
    return SweepView(
        objectives=named[:objectives],
        trials=tuple(trials),
        importances={"presence": {"train.finetune.learning_rate": 0.71, "model.projector.use": 0.2}},
        importance_method="fANOVA",
        sampler="tpe",
        pruner="median",
    )


def _learning(arms: tuple[str, ...], word: str) -> LearningTable:
    steps = {arm: StepsToLevel(420.0 + index, 400.0, 450.0, 3) for index, arm in enumerate(arms)}
    ratios = dict.fromkeys(arms[1:], StepRatio(1.2, 1.0, 1.4, 3))
    bounded = {arm: StepsToLevel(None, None, None, 3, early=1, never=2) for arm in arms}
    rows = (
        LearningRow("presence", 60.0, 50.0, 70.0, steps, ratios),
        LearningRow(word, 60.0, 0.0, 90.0, bounded, dict.fromkeys(arms[1:], StepRatio(None, None, None, 3, bounded=3))),
    )
    return LearningTable(word, rows, (word,))


def _row(name: str, arms: tuple[str, ...]) -> TableRow:
    scores = {arm: Estimate(80.0 - index, 78.0, 82.0, 1.2) for index, arm in enumerate(arms)}
    change = ScoreDifference(-1.0, -2.0, -0.1, 0.01, 0.03, 2.1, 3)
    differences = dict.fromkeys(arms[1:], change)
    part = TablePart(f"{name}/1", 40, 40.0, scores)
    return TableRow(name, "POPE", "rule/one", 600, 150, 50.0, 100.0, scores, differences, {arms[0]: change}, (part,))
