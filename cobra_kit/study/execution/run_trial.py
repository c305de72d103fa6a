"""One run from its plan to its scores. Every step leaves a file, and a step whose file is there is not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from cobra_kit._plugins import attributed
from cobra_kit.data.cuts import MAX_CUT_SHARE
from cobra_kit.data.images import Images
from cobra_kit.data.rows import Benchmark, HeldOutSplit
from cobra_kit.errors import DamagedFile
from cobra_kit.evaluate.control import shuffled_images
from cobra_kit.evaluate.precision import apply_precision
from cobra_kit.evaluate.predict import check_choices, predict
from cobra_kit.evaluate.questions import check_questions
from cobra_kit.evaluate.score import BenchmarkScore, score
from cobra_kit.evaluate.validation import Validator
from cobra_kit.events import Event, Message, Progress, Reporter, RunDone, RunStarted, Scored, for_arm
from cobra_kit.files import refuse_links_out
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.model.decoding import Precision
from cobra_kit.model.seeding import derive_seed
from cobra_kit.recipe.sections import ValidationSection
from cobra_kit.study.execution.asked_protocols import protocols_of
from cobra_kit.study.execution.devices import run_threads
from cobra_kit.study.execution.mending import Mending
from cobra_kit.study.execution.run_manifest import begin_session, note_rows, note_shared_stages
from cobra_kit.study.execution.shared_stages import SharedStage, shared_stages
from cobra_kit.study.execution.study_cache import StudyCache, readable
from cobra_kit.study.execution.write_results import write_results, write_training
from cobra_kit.study.plan.study_plan import RunPlan, no_validation
from cobra_kit.study.reading.stored_files import SPLIT, Training, condition, read_run_manifest
from cobra_kit.train import STAGES, RunSettings, TrainIntervals, TrainResult, Validate, check_cut_shares, train_run
from cobra_kit.train.memory import peak_bytes, reset_peak

if TYPE_CHECKING:
    from cobra_kit.study.search.pruning_callback import PruningCallback


def run_trial(
    run: RunPlan,
    cache: StudyCache,
    report: Reporter,
    *,
    control: str | None = None,
    pace: TrainIntervals | None = None,
    split: HeldOutSplit = SPLIT,
    pruning: PruningCallback | None = None,
) -> None:
    """Does what is missing of a run: training, the answers to the questions, their scores.

    Args:
        run: The run to finish.
        cache: Data, features, the device, and the study's folder, held by this process.
        report: Told about everything, under the run's name.
        control: Also ask with wrong images; see `evaluate.control`.
        pace: How often to log and save while training.
        split: Which questions: `val` while something is being selected.
        pruning: Told what each validation found; may raise to stop a run that is not worth going on with.

    Raises:
        CobraError: Something is wrong with data, training, or the disk; what was done stays.
    """
    # What a plugin's code does wrong is told as that plugin's fault. Threads change the last bits of results: a run has
    # as many, whoever does it, alone or beside others.
    with attributed(part.component for part in run.resolved.parts.values()), run_threads(cache.device):
        _TrialRun(run, cache, for_arm(report, run.name), split, pace or TrainIntervals(), pruning).do_missing(control)


class _TrialRun:
    """A run as this process does it.

    Args:
        run: The run to finish.
        cache: Data, features, the device, the study's folder.
        report: Told about everything.
        split: Which questions are asked in the end.
        pace: How often to log and save while training.
        pruning: Told what each validation found.
    """

    def __init__(
        self,
        run: RunPlan,
        cache: StudyCache,
        report: Reporter,
        split: HeldOutSplit,
        pace: TrainIntervals,
        pruning: PruningCallback | None,
    ) -> None:
        self._run, self._cache, self._report, self._split, self._pruning = run, cache, report, split, pruning
        self._pace = _validated(pace, run.evaluate.validation)
        self._folder = cache.folder.run(run)

    def do_missing(self, control: str | None) -> None:
        """Trains, asks and scores what is not trained, asked and scored; what is damaged counts as not done."""
        run, cache, folder = self._run, self._cache, self._folder
        mending = Mending(run, folder, self._report)
        training = mending.training()
        missing = mending.unscored(control, self._split)
        begun = read_run_manifest(folder) is not None
        if missing or training is None or not begun:
            refuse_links_out(folder, 3)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except FileExistsError as error:
                raise DamagedFile(folder, "something else stands in place of the run's folder", "Delete it.") from error
            self._report(RunStarted(folder=str(folder)))
            self._check_data()
            begin_session(folder, run, cache.source(run).fingerprint, cache.folder.features, cache.device)
            model = mending.model(cache.device) if missing and training is not None else None
            if model is None and (missing or training is None):
                model, training = self._train()
            if model is not None:
                precision = apply_precision(model, run.evaluate.precision)
                for asked in missing:
                    self._evaluate(model, precision, asked)
        assert training is not None  # read, or trained just now
        self._report(RunDone(seconds=training.seconds, worked=bool(missing)))

    def _check_data(self) -> None:
        """Raises what is wrong with the data before minutes of training, not behind them."""
        run, cache = self._run, self._cache
        cache.benchmarks(run, "test")
        if run.evaluate.validation is not None and not cache.benchmarks(run, "val"):
            raise no_validation(run.resolved.recipe)
        _ = cache.source(run).rows

    def _train(self) -> tuple[VisionLanguageModel, Training]:
        run, cache = self._run, self._cache
        source = cache.source(run)
        model = compose(run.resolved, seed=run.seed, device=cache.device)
        for benchmark in cache.benchmarks(run, "test").values():
            check_choices(model, benchmark)
        reset_peak(model.device)
        validate = self._validator(model)
        for held_out in dict.fromkeys((self._split, "val") if run.evaluate.validation else (self._split,)):
            for group in cache.groups(run, held_out):
                check_questions(group.benchmarks, group.image_ids, model.processor.codec)
        # Of every stage, before the first one is trained: `train_run` sees one stage at a time where stages are shared.
        check_cut_shares(source, model.processor, run.train.stages(), MAX_CUT_SHARE)
        shared = shared_stages(
            run,
            model,
            source,
            cache.stage_keys(run),
            cache.folder.stages,
            feature_folder=cache.folder.features,
            report=self._report,
            pace=self._pace,
            validate=validate,
        )
        note_shared_stages(self._folder, shared)
        result = train_run(
            model,
            source,
            RunSettings(
                run.train,
                seed=run.seed,
                feature_folder=cache.folder.features,
                intervals=self._pace,
                validate=validate,
                done=[stage.result for stage in shared],
                max_cut_share=MAX_CUT_SHARE,
            ),
            self._folder,
            report=self._report,
        )
        note_rows(self._folder, source, result.stages)
        # The model before the figures: the figures' file says that training is finished.
        model.save_pretrained(self._folder)
        training = replace(_figures(run, model, result, shared), peak_memory_bytes=peak_bytes(model.device))
        write_training(self._folder, training)
        return model, training

    def _validator(self, model: VisionLanguageModel) -> Validate | None:
        run, validation = self._run, self._run.evaluate.validation
        if validation is None:
            return None
        images = self._cache.images(run, model, "val", self._report)
        validator = Validator(
            readable(self._cache.benchmarks(run, "val"), images, self._report),
            images,
            questions=validation.questions,
            max_new_tokens=run.evaluate.max_new_tokens,
            batch_size=run.evaluate.batch_size,
        )
        return validator if self._pruning is None else self._pruning.wrap(validator)

    def _evaluate(self, model: VisionLanguageModel, precision: Precision, control: str | None) -> None:
        run, what = self._run, condition(control, self._split)
        offered = self._cache.benchmarks(run, self._split)
        if not offered:
            self._report(Message(text=f"not evaluated ({what}): there are no benchmarks to ask"))
            write_results(self._folder, what, {})
            return
        images: dict[str, Images] = {}
        readable_ones: dict[str, Benchmark] = {}
        for group in self._cache.groups(run, self._split):
            of_group = self._cache.group_images(run, model, group, self._report)
            images |= dict.fromkeys(group.benchmarks, of_group)
            readable_ones |= readable(group.benchmarks, of_group, self._report)
        benchmarks = {name: readable_ones[name] for name in offered if name in readable_ones}
        protocols = protocols_of(run, offered, self._cache.opened(run) if self._split == SPLIT else {}, self._split)
        counted = _Counted(benchmarks, what, self._report)
        scored: dict[str, BenchmarkScore] = {}
        for name, benchmark in benchmarks.items():
            predictions = predict(
                model,
                benchmark,
                images[name],
                self._folder / "predictions" / what / f"{name}.jsonl",
                shown=_shown_images(benchmark, control),
                max_new_tokens=protocols[name].max_new_tokens or run.evaluate.max_new_tokens,
                batch_size=run.evaluate.batch_size,
                precision=precision,
                computed=run.evaluate.precision.label if run.evaluate.precision else None,
                report=counted,
            )
            counted.next()
            left_out = len(offered[name].questions) - len(benchmark.questions)
            scored[name] = replace(score(benchmark, predictions), left_out=left_out, protocol=protocols[name])
        _tell_cut_answers(scored, what, run.evaluate.max_new_tokens, self._report)
        write_results(self._folder, what, scored)
        for name, result in scored.items():
            figures = dict(result.summary)
            self._report(Scored(benchmark=name, condition=what, figures=figures, questions=len(result.scores)))


def _validated(pace: TrainIntervals, validation: ValidationSection | None) -> TrainIntervals:
    if validation is None:
        return pace
    return replace(pace, validate_steps=validation.every_steps, keep_best=validation.keep == "best")


def _tell_cut_answers(scored: Mapping[str, BenchmarkScore], what: str, most: int, report: Reporter) -> None:
    cut = [
        f"{name} {result.cut_answers:,} of {len(result.scores):,}"
        for name, result in scored.items()
        if result.cut_answers
    ]
    if cut:
        report(Message(text=f"{what}: answers cut at {most} new tokens (evaluate.max_new_tokens): {', '.join(cut)}"))


def _shown_images(benchmark: Benchmark, control: str | None) -> Mapping[str, str] | None:
    if control is None:
        return None
    # The same images for every arm and seed: models are compared under one control.
    names = [question.image for question in benchmark.questions]
    return shuffled_images(names, derive_seed(0, control, benchmark.name))


class _Counted:
    """Reports the questions of all benchmarks as one count."""

    def __init__(self, benchmarks: Mapping[str, Benchmark], what: str, report: Reporter) -> None:
        self._sizes = [len(benchmark.questions) for benchmark in benchmarks.values()]
        self._total, self._before, self._what, self._report = sum(self._sizes), 0, what, report

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, Progress):
            event = replace(event, task=self._what, done=self._before + event.done, total=self._total)
        self._report(event)

    def next(self) -> None:
        """Goes on to the next benchmark."""
        self._before += self._sizes.pop(0)


def _figures(run: RunPlan, model: VisionLanguageModel, result: TrainResult, begun: Sequence[SharedStage]) -> Training:
    shared = {stage.result.stage: {"shared": stage.key, "made_by": stage.made_by} for stage in begun}
    kinds = {kind for stage in run.train.stages() for kind in STAGES[stage].trains}
    parts = model.parts()
    parameters = {id(p): p.numel() for kind, part in parts.items() if kind in kinds for p in part.parameters()}
    padded = sum(stage.padded_tokens for stage in result.stages)
    tokens = sum(stage.tokens for stage in result.stages)
    return Training(
        seconds=sum(stage.seconds for stage in result.stages if stage.stage not in shared),
        shared_seconds=sum(stage.result.seconds for stage in begun),
        tokens=tokens,
        padding_share=1 - tokens / padded if padded else 0.0,
        parameters_trained=sum(parameters.values()),
        image_tokens=model.image_tokens().num_tokens,
        stages=[{**asdict(stage), **shared.get(stage.stage, {})} for stage in result.stages],
    )
