"""One run from its plan to its scores. Every step leaves a file, and a step whose file is there is not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from cobra_kit._plugins import attributed
from cobra_kit.data.cuts import MAX_CUT_SHARE
from cobra_kit.data.rows import Benchmark, HeldOutSplit
from cobra_kit.evaluate.control import shuffled_pictures
from cobra_kit.evaluate.precision import apply_precision
from cobra_kit.evaluate.predict import check_choices, predict
from cobra_kit.evaluate.questions import check_questions
from cobra_kit.evaluate.score import BenchmarkScore, score
from cobra_kit.evaluate.validation import Validator
from cobra_kit.events import Event, Message, Progress, Reporter, for_arm
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.model.decoding import Precision
from cobra_kit.model.seeding import derive_seed
from cobra_kit.recipe.sections import ValidationSection
from cobra_kit.study.execution.events import RunDone, RunStarted
from cobra_kit.study.execution.run_manifest import begin_session, note_rows, note_shared_stages
from cobra_kit.study.execution.shared_stages import SharedStage, shared_stages
from cobra_kit.study.execution.study_cache import StudyCache, readable
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.plan.study_plan import RunPlan, no_validation
from cobra_kit.study.reading.loading import load
from cobra_kit.study.reading.results import (
    SPLIT,
    Training,
    condition,
    is_scored,
    read_training,
    write_results,
    write_training,
)
from cobra_kit.train import STAGES, RunSettings, TrainIntervals, TrainResult, Validate, check_cut_shares, train_run
from cobra_kit.train.memory import peak_bytes, reset_peak


class Judge(Protocol):
    """Whoever looks at validations and may stop a run."""

    def wrap(self, validator: Validator) -> Validate:
        """Returns the validator with this listener behind it."""
        ...


def execute(
    run: RunPlan,
    folder: StudyFolder,
    shared: StudyCache,
    *,
    control: str | None = None,
    report: Reporter,
    pace: TrainIntervals | None = None,
    split: HeldOutSplit = SPLIT,
    judge: Judge | None = None,
) -> None:
    """Does what is missing of a run: training, the answers to the questions, their scores.

    Args:
        run: The run.
        folder: The study's folder, held by this process.
        shared: Data, features, the device.
        control: Also ask with wrong pictures; see `evaluate.control`.
        report: Told about everything, under the run's name.
        pace: How often to log and save while training.
        split: Which questions: `val` while something is being selected.
        judge: Told what each validation found; may raise to stop a run that is not worth going on with.

    Raises:
        CobraError: Something is wrong with data, training, or the disk; what was done stays.
    """
    with attributed(part.component for part in run.resolved.parts.values()):
        _do_missing(run, folder, shared, control, report, pace, split, judge)


def _do_missing(
    run: RunPlan,
    folder: StudyFolder,
    shared: StudyCache,
    control: str | None,
    report: Reporter,
    pace: TrainIntervals | None,
    split: HeldOutSplit,
    judge: Judge | None,
) -> None:
    place = folder.run(run)
    report = for_arm(report, run.name)
    conditions = dict.fromkeys((None, control))
    missing = [one for one in conditions if not is_scored(place, condition(one, split))]
    training = read_training(place)
    if missing or training is None:
        place.mkdir(parents=True, exist_ok=True)
        report(RunStarted(folder=str(place)))
        _check_data(run, shared)
        begin_session(place, run, shared.source(run).fingerprint, folder.features, shared.device)
        model, training = _trained(run, place, folder, shared, report, pace, judge, split)
        precision = apply_precision(model, run.evaluate.precision)
        for one in missing:
            _evaluate(run, model, precision, place, shared, one, split, report)
    report(RunDone(seconds=training.seconds, worked=bool(missing)))


def _check_data(run: RunPlan, shared: StudyCache) -> None:
    """Whatever is wrong with the data shows before minutes of training, not behind them."""
    shared.benchmarks(run, "test")
    if run.evaluate.validation is not None and not shared.benchmarks(run, "val"):
        raise no_validation(run.resolved.recipe)
    _ = shared.source(run).rows


def _trained(
    run: RunPlan,
    place: Path,
    folder: StudyFolder,
    shared: StudyCache,
    report: Reporter,
    pace: TrainIntervals | None,
    judge: Judge | None,
    split: HeldOutSplit,
) -> tuple[VisionLanguageModel, Training]:
    training = read_training(place)
    if training is not None:
        return load(place, device=shared.device), training
    model = compose(run.resolved, seed=run.seed, device=shared.device)
    for benchmark in shared.benchmarks(run, "test").values():
        check_choices(model, benchmark)
    reset_peak(model.device)
    asked = _validator(run, model, shared, report)
    validator: Validate | None = judge.wrap(asked) if judge is not None and asked is not None else asked
    pace = _validated(pace or TrainIntervals(), run.evaluate.validation)
    for held_out in dict.fromkeys((split, "val") if run.evaluate.validation else (split,)):
        pictures = shared.source(run).picture_ids(held_out)
        check_questions(shared.benchmarks(run, held_out), pictures, model.processor.codec)
    # Of every stage, before the first one is trained: `train_run` sees one stage at a time where stages are shared.
    check_cut_shares(shared.source(run), model.processor, run.train.stages(), MAX_CUT_SHARE)
    begun = shared_stages(
        run,
        model,
        shared.source(run),
        shared.stage_keys(run),
        folder.stages,
        feature_folder=folder.features,
        report=report,
        pace=pace,
        validate=validator,
    )
    note_shared_stages(place, begun)
    result = train_run(
        model,
        shared.source(run),
        RunSettings(
            run.train,
            seed=run.seed,
            feature_folder=folder.features,
            intervals=pace,
            validate=validator,
            done=[one.result for one in begun],
            max_cut_share=MAX_CUT_SHARE,
        ),
        place,
        report=report,
    )
    note_rows(place, shared.source(run), result.stages)
    model.save_pretrained(place)
    training = replace(_figures(run, model, result, begun), peak_memory_bytes=peak_bytes(model.device))
    write_training(place, training)
    return model, training


def _validated(pace: TrainIntervals, validation: ValidationSection | None) -> TrainIntervals:
    if validation is None:
        return pace
    return replace(pace, validate_steps=validation.every_steps, keep_best=validation.keep == "best")


def _validator(run: RunPlan, model: VisionLanguageModel, shared: StudyCache, report: Reporter) -> Validator | None:
    validation = run.evaluate.validation
    if validation is None:
        return None
    pictures = shared.pictures(run, model, "val", report)
    return Validator(
        readable(shared.benchmarks(run, "val"), pictures, report),
        pictures,
        questions=validation.questions,
        max_new_tokens=run.evaluate.max_new_tokens,
        batch_size=run.evaluate.batch_size,
    )


def _evaluate(
    run: RunPlan,
    model: VisionLanguageModel,
    precision: Precision,
    place: Path,
    shared: StudyCache,
    control: str | None,
    split: HeldOutSplit,
    report: Reporter,
) -> None:
    what = condition(control, split)
    if not shared.benchmarks(run, split):
        report(Message(text=f"not evaluated ({what}): there are no benchmarks to ask"))
        write_results(place, what, {})
        return
    pictures = shared.pictures(run, model, split, report)
    asked = shared.benchmarks(run, split)
    benchmarks = readable(asked, pictures, report)
    counted = _Counted(benchmarks, what, report)
    scored: dict[str, BenchmarkScore] = {}
    for name, benchmark in benchmarks.items():
        said = predict(
            model,
            benchmark,
            pictures,
            place / "predictions" / what / f"{name}.jsonl",
            shown=_shown(benchmark, control),
            max_new_tokens=run.evaluate.max_new_tokens,
            batch_size=run.evaluate.batch_size,
            precision=precision,
            computed=run.evaluate.precision.label if run.evaluate.precision else None,
            report=counted,
        )
        counted.next()
        left_out = len(asked[name].questions) - len(benchmark.questions)
        scored[name] = replace(score(benchmark, said), left_out=left_out)
    _tell_cut_answers(scored, what, run.evaluate.max_new_tokens, report)
    write_results(place, what, scored)


def _tell_cut_answers(scored: Mapping[str, BenchmarkScore], what: str, most: int, report: Reporter) -> None:
    cut = [f"{name} {one.cut_answers:,} of {len(one.scores):,}" for name, one in scored.items() if one.cut_answers]
    if cut:
        report(Message(text=f"{what}: answers cut at {most} new tokens (evaluate.max_new_tokens): {', '.join(cut)}"))


def _shown(benchmark: Benchmark, control: str | None) -> Mapping[str, str] | None:
    if control is None:
        return None
    # The same pictures for every arm and seed: models are compared under one control.
    names = [question.picture for question in benchmark.questions]
    return shuffled_pictures(names, derive_seed(0, control, benchmark.name))


class _Counted:
    """Reports the questions of all benchmarks as one count."""

    def __init__(self, benchmarks: Mapping[str, Benchmark], what: str, report: Reporter) -> None:
        self._sizes = [len(one.questions) for one in benchmarks.values()]
        self._total, self._before, self._what, self._report = sum(self._sizes), 0, what, report

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, Progress):
            event = replace(event, task=self._what, done=self._before + event.done, total=self._total)
        self._report(event)

    def next(self) -> None:
        """Goes on to the next benchmark."""
        self._before += self._sizes.pop(0)


def _figures(run: RunPlan, model: VisionLanguageModel, result: TrainResult, begun: Sequence[SharedStage]) -> Training:
    shared = {one.result.stage: {"shared": one.key, "made_by": one.made_by} for one in begun}
    kinds = {kind for stage in run.train.stages() for kind in STAGES[stage].trains}
    parts = model.parts()
    parameters = {id(p): p.numel() for kind, part in parts.items() if kind in kinds for p in part.parameters()}
    padded = sum(stage.padded_tokens for stage in result.stages)
    tokens = sum(stage.tokens for stage in result.stages)
    return Training(
        seconds=sum(stage.seconds for stage in result.stages if stage.stage not in shared),
        shared_seconds=sum(one.result.seconds for one in begun),
        tokens=tokens,
        padding_share=1 - tokens / padded if padded else 0.0,
        parameters_trained=sum(parameters.values()),
        image_tokens=model.image_tokens().num_tokens,
        stages=[{**asdict(stage), **shared.get(stage.stage, {})} for stage in result.stages],
    )
