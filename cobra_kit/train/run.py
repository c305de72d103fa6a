"""A training run: its stages in order, going on wherever an earlier process stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from cobra_kit._plugins import attributed, own_randomness
from cobra_kit.data.curriculum import rows_of_kinds
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.images import Images, LiveImages, NoImages
from cobra_kit.data.prepared import RowForm, TrainingSet
from cobra_kit.data.rows import DataSource, TrainingRow, with_image_names
from cobra_kit.errors import ArgumentError, TrainingError, first_line
from cobra_kit.events import Reporter, silent
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe.diff import differences
from cobra_kit.recipe.sections import StageSection, TrainSection
from cobra_kit.train.checkpoint import Checkpoint, Checkpoints
from cobra_kit.train.identity import training_identity
from cobra_kit.train.interrupt import postponed_interrupts
from cobra_kit.train.loop import TrainingLoop, TrainIntervals
from cobra_kit.train.loop_state import LoopState
from cobra_kit.train.metrics import Metrics
from cobra_kit.train.results import StageResult, TrainResult
from cobra_kit.train.stage_task import StageSetup, StageTask, Validate
from cobra_kit.train.stages import STAGES, Stage, check_cut_shares, stage_rows, trained_until


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings by which a run trains.

    Args:
        section: The stages and their settings.
        seed: Seed of the order of rows and of random layers.
        intervals: How often to log, save and validate.
        validate: Called now and then with the model in eval mode; its figures go to the metrics. Not in stages without
            images.
        feature_folder: Where encoder features are kept, to be shared by the runs of a study; None: in the run's folder.
        done: The first stages, if they were trained elsewhere: their results; the model has their weights.
        max_cut_share: For stages that do not say it themselves: the most share of the supervised tokens that the
            backbone's longest text may cut. What is cut is always counted and told.
    """

    section: TrainSection
    _: KW_ONLY
    seed: int
    intervals: TrainIntervals = field(default_factory=TrainIntervals)
    validate: Validate | None = None
    feature_folder: Path | None = None
    done: Sequence[StageResult] = ()
    max_cut_share: float = 1.0


def train_run(
    model: VisionLanguageModel,
    source: DataSource,
    settings: RunSettings | TrainSection,
    folder: Path,
    *,
    report: Reporter = silent,
    **options: Any,
) -> TrainResult:
    """Trains a model in place and returns what it took.

    Called again with the same arguments after a kill, it goes on from the last checkpoint, and on one CPU process
    ends with the very same weights. A finished run is only loaded. Ctrl-C saves before it stops.

    Args:
        model: Freshly composed, with the seed of the run.
        source: Rows and images.
        settings: The stages, and how they are trained; or a recipe's section `train` alone, with `options` beside it.
        folder: The run's folder: `checkpoints/` and `metrics.jsonl` go there.
        report: Told about everything that takes time.
        options: Beside a section: the other fields of `RunSettings`, such as `seed`. `pace` is read as `intervals`.

    Raises:
        TrainingError: The loss is not finite, the folder belongs to other settings, or cannot be written.
        DataError: Rows or images are missing or broken, or more is cut from the rows than is allowed.
        KeyboardInterrupt: Somebody pressed Ctrl-C; everything is saved.
    """
    run = _Run(model, with_image_names(source), _settings(settings, options), folder, report)
    components = () if model.recipe is None else [part.component for part in model.recipe.parts.values()]
    with _own_random_state(model.device), attributed(components):
        run.run()
    model.eval()
    return TrainResult(tuple(run.results), run.resumed_at)


def _settings(settings: RunSettings | TrainSection, options: dict[str, Any]) -> RunSettings:
    if isinstance(settings, RunSettings):
        if options:
            raise ArgumentError(f"settings say everything: {', '.join(options)} cannot stand beside them")
        return settings
    intervals = options.pop("pace", None)  # its name until 0.1
    return RunSettings(settings, **({"intervals": intervals} if intervals is not None else {}), **options)


class _Run:
    """The state that the stages of a run share."""

    def __init__(
        self, model: VisionLanguageModel, source: DataSource, settings: RunSettings, folder: Path, report: Reporter
    ) -> None:
        self._model, self._source, self._settings, self._report = model, source, settings, report
        self._stages = settings.section.stages()
        self._feature_folder = settings.feature_folder or folder / "features"
        self._checkpoints = Checkpoints(folder / "checkpoints", report)
        self._metrics = Metrics(folder / "metrics.jsonl")
        parts = {} if model.recipe is None else model.recipe.parts
        self._identity = training_identity(model.components, parts, source.fingerprint, settings.section, settings.seed)
        self.results = list(settings.done)
        self.resumed_at: str | None = None

    def run(self) -> None:
        """Runs the stages that are not finished."""
        resume = self._load()
        done = {result.stage for result in self.results}
        left = {name: section for name, section in self._stages.items() if name not in done}
        # The first one counts its cut rows anyway when it lays them out; the others must not stop a run hours later.
        later = dict(list(left.items())[1:])
        check_cut_shares(self._source, self._model.processor, later, self._settings.max_cut_share)
        for name, section in left.items():
            self._stage(STAGES[name], section, resume)
            resume = None

    def _stage(self, stage: Stage, section: StageSection, resume: LoopState | None) -> None:
        images = self._images(stage)
        rows = stage_rows(stage, self._source)
        first = section.curriculum and rows_of_kinds(rows, section.curriculum.kinds)
        prepared = self._training_set(rows, images, stage, section)
        most = self._settings.max_cut_share if section.max_cut_share is None else section.max_cut_share
        prepared.cuts.check(most, stage.name, len(rows))
        first_rows = self._training_set(first, images, stage, section) if first else None
        setup = StageSetup(stage, section, prepared, first_rows, self._settings.seed)
        validate = None if stage.text else self._settings.validate
        task = StageTask(self._model, setup, self._metrics, validate, self._report)
        intervals = self._settings.intervals
        loop = TrainingLoop(
            task,
            intervals,
            report=self._report,
            save=lambda state: self._save(stage, state.progress.step, state),
            resume=resume,
        )
        with postponed_interrupts() as interrupt:
            task.announce(loop.progress)
            if loop.run(interrupt):
                result = task.result(loop.progress, keep_best=intervals.keep_best)
                if result.selected_step not in (None, result.steps):
                    self._take(self._checkpoints.read(_name(stage, result.selected_step)))
                self.results.append(result)
                self._save(stage, result.steps, None)
        if interrupt.requested():  # and whoever handles the signal in this program let it pass
            raise KeyboardInterrupt

    def _training_set(
        self, rows: Sequence[TrainingRow], images: Images, stage: Stage, section: StageSection
    ) -> TrainingSet:
        form = RowForm(captions=stage.captions, text=stage.text, loss_unit=section.loss_unit)
        return TrainingSet(rows, self._model.processor, images, form, report=self._report)

    def _images(self, stage: Stage) -> Images:
        if stage.text:
            return NoImages()
        names = self._source.image_ids("train")  # of every stage, so that they share one cache
        if stage.frozen_encoder:
            return FeatureCache.of(self._model, self._source, names, self._feature_folder, report=self._report)
        self._feature_folder.mkdir(parents=True, exist_ok=True)
        return LiveImages(self._model, self._source, names, self._feature_folder, self._report)

    def _save(self, stage: Stage, step: int, state: LoopState | None) -> None:
        """Writes a checkpoint; one without `state` marks the end of the stage and needs no optimiser."""
        parts = self._model.parts()
        kinds = trained_until(self._stages, stage.name)
        trained = {
            f"model/{kind}.{name}": tensor.detach()
            for kind in parts
            if kind in kinds
            for name, tensor in parts[kind].state_dict().items()
        }
        best = None if state is None else state.progress.best_step
        self._checkpoints.save(
            _name(stage, step) + ("-end" if state is None else ""),
            trained if state is None else {**trained, **state.tensors()},
            {
                **({} if state is None else state.plain()),
                "stage": stage.name,
                "step": step,
                "results": [asdict(result) for result in self.results],
                "identity": self._identity,
            },
            keep=None if best is None else _name(stage, best),
        )

    def _load(self) -> LoopState | None:
        """Loads the newest checkpoint, and returns where to go on if it stands within a stage."""
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            self._metrics.rewind({})
            return None
        try:
            return self._go_on(checkpoint)
        except _NO_STATE as error:
            raise TrainingError(
                f"the checkpoint is damaged ({type(error).__name__}: {first_line(error)})",
                where=str(checkpoint.path),
                hint="Delete it and give the same command again: training goes on from the one before it.",
            ) from error

    def _go_on(self, checkpoint: Checkpoint) -> LoopState | None:
        self._check_identity(checkpoint)
        self._take(checkpoint)
        self.results = [StageResult(**result) for result in checkpoint.state["results"]]
        stage, step = checkpoint.state["stage"], checkpoint.state["step"]
        self.resumed_at = f"{stage}/{step}"
        self._metrics.rewind({**{result.stage: result.steps for result in self.results}, stage: step})
        return LoopState.of(checkpoint)

    def _take(self, checkpoint: Checkpoint) -> None:
        """Gives the model a checkpoint's weights."""
        weights = self._model.state_dict()
        for name, tensor in checkpoint.tensors.items():
            if name.startswith("model/"):
                weights[name.removeprefix("model/")].copy_(tensor)

    def _check_identity(self, checkpoint: Checkpoint) -> None:
        differing = differences(checkpoint.state["identity"], self._identity)
        if differing:
            raise TrainingError(
                f"the checkpoints here were made with other settings: {', '.join(d.path for d in differing)}",
                where=str(checkpoint.path.parent),
                hint="Use the settings they were made with, another folder, or delete this one to start over.",
            )


_NO_STATE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RuntimeError)
"""What a checkpoint raises whose parts do not belong together, although each is whole."""


def _name(stage: Stage, step: int) -> str:
    """Returns a checkpoint's name; later ones sort later."""
    return f"{list(STAGES).index(stage.name)}-{stage.name}-{step:08d}"


@contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Leaves the random states as the caller had them; parts of a plugin may draw from any of them."""
    with own_randomness(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
