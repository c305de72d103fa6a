"""A training run: its stages in order, going on wherever an earlier process stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cobra_kit._plugins import attributed
from cobra_kit.data.curriculum import rows_of_kinds
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.pictures import LivePictures, NoPictures, Pictures
from cobra_kit.data.prepared import TrainingSet
from cobra_kit.data.rows import DataSource, TrainingRow
from cobra_kit.errors import TrainingError
from cobra_kit.events import Reporter, silent
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe.diff import differences
from cobra_kit.recipe.sections import StageSection, TrainSection
from cobra_kit.train.checkpoint import Checkpoint, Checkpoints
from cobra_kit.train.identity import training_identity
from cobra_kit.train.interrupt import postponed_interrupts
from cobra_kit.train.loop import StageLoop, TrainIntervals, Validate
from cobra_kit.train.metrics import Metrics
from cobra_kit.train.results import StageResult, TrainResult
from cobra_kit.train.stages import STAGES, Stage, check_cut_shares, stage_rows, trained_until


def train_run(
    model: VisionLanguageModel,
    source: DataSource,
    section: TrainSection,
    folder: Path,
    *,
    seed: int,
    report: Reporter = silent,
    feature_folder: Path | None = None,
    pace: TrainIntervals | None = None,
    validate: Validate | None = None,
    done: Sequence[StageResult] = (),
    max_cut_share: float = 1.0,
) -> TrainResult:
    """Trains a model in place and returns what it took.

    Called again with the same arguments after a kill, it goes on from the last checkpoint, and on one CPU process
    ends with the very same weights. A finished run is only loaded. Ctrl-C saves before it stops.

    Args:
        model: Freshly composed, with the seed of the run.
        source: Rows and pictures.
        section: The stages and their settings.
        folder: The run's folder: `checkpoints/` and `metrics.jsonl` go there.
        seed: Of the order of rows and of random layers.
        report: Told about everything that takes time.
        feature_folder: Where encoder features are kept, to be shared by the runs of a study; None: in `folder`.
        pace: How often to log, save and validate.
        validate: Called now and then with the model in eval mode; its figures go to the metrics. Not in stages without
            pictures.
        done: The first stages, if they were trained elsewhere: their results; the model has their weights.
        max_cut_share: For stages that do not say it themselves: the most share of the supervised tokens that the
            backbone's longest text may cut. What is cut is always counted and told.

    Raises:
        TrainingError: The loss is not finite, the folder belongs to other settings, or cannot be written.
        DataError: Rows or pictures are missing or broken, or more is cut from the rows than is allowed.
        KeyboardInterrupt: Somebody pressed Ctrl-C; everything is saved.
    """
    run = _Run(model, source, section, folder, seed, report, feature_folder or folder / "features", done, max_cut_share)
    components = () if model.recipe is None else [part.component for part in model.recipe.parts.values()]
    with _own_random_state(model.device), attributed(components):
        run.run(pace or TrainIntervals(), validate)
    model.eval()
    return TrainResult(tuple(run.results), run.resumed_at)


class _Run:
    """What the stages of a run share."""

    def __init__(
        self,
        model: VisionLanguageModel,
        source: DataSource,
        section: TrainSection,
        folder: Path,
        seed: int,
        report: Reporter,
        feature_folder: Path,
        done: Sequence[StageResult],
        max_cut_share: float,
    ) -> None:
        self._model, self._source, self._section, self._seed, self._report = model, source, section, seed, report
        self._folder, self._feature_folder = folder, feature_folder
        self._max_cut_share = max_cut_share
        self._checkpoints = Checkpoints(folder / "checkpoints", report)
        self._metrics = Metrics(folder / "metrics.jsonl")
        parts = {} if model.recipe is None else model.recipe.parts
        self._identity = training_identity(model.components, parts, source.fingerprint, section, seed)
        self.results = list(done)
        self.resumed_at: str | None = None

    def run(self, pace: TrainIntervals, validate: Validate | None) -> None:
        """Runs the stages that are not finished."""
        resume = self._load()
        done = {result.stage for result in self.results}
        left = {name: settings for name, settings in self._section.stages().items() if name not in done}
        later = dict(list(left.items())[1:])
        check_cut_shares(self._source, self._model.processor, later, self._max_cut_share)
        for name, settings in left.items():
            self._stage(STAGES[name], settings, pace, validate, resume)
            resume = None

    def _stage(
        self,
        stage: Stage,
        settings: StageSection,
        pace: TrainIntervals,
        validate: Validate | None,
        resume: Checkpoint | None,
    ) -> None:
        pictures = self._pictures(stage)
        rows = stage_rows(stage, self._source)
        first = settings.curriculum and rows_of_kinds(rows, settings.curriculum.kinds)
        prepared = self._training_set(rows, pictures, stage, settings)
        most = self._max_cut_share if settings.max_cut_share is None else settings.max_cut_share
        prepared.cuts.check(most, stage.name, len(rows))
        loop = StageLoop(
            self._model,
            stage,
            settings,
            prepared,
            self._training_set(first, pictures, stage, settings) if first else None,
            seed=self._seed,
            metrics=self._metrics,
            save=self._save,
            report=self._report,
            pace=pace,
            validate=None if stage.text else validate,
            resume=resume,
        )
        with postponed_interrupts() as interrupt:
            result = loop.run(interrupt)
            if result is not None:
                if result.selected_step not in (None, result.steps):
                    self._take(self._checkpoints.read(_name(stage, result.selected_step)))
                self.results.append(result)
                self._save(stage, result.steps, {}, {})
        if interrupt.requested():  # and whoever handles the signal in this program let it pass
            raise KeyboardInterrupt

    def _training_set(
        self, rows: Sequence[TrainingRow], pictures: Pictures, stage: Stage, settings: StageSection
    ) -> TrainingSet:
        return TrainingSet(
            rows,
            self._model.processor,
            pictures,
            captions=stage.captions,
            text=stage.text,
            loss_unit=settings.loss_unit,
            report=self._report,
        )

    def _pictures(self, stage: Stage) -> Pictures:
        if stage.text:
            return NoPictures()
        names = self._source.picture_ids("train")  # of every stage, so that they share one cache
        if stage.frozen_encoder:
            return FeatureCache.of(self._model, self._source, names, self._feature_folder, report=self._report)
        self._feature_folder.mkdir(parents=True, exist_ok=True)
        return LivePictures(self._model, self._source, names, self._feature_folder, self._report)

    def _save(self, stage: Stage, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Writes a checkpoint; one without `state` marks the end of the stage and needs no optimiser."""
        parts = self._model.parts()
        kinds = trained_until(self._section.stages(), stage.name)
        trained = {
            f"model/{kind}.{name}": tensor.detach()
            for kind in parts
            if kind in kinds
            for name, tensor in parts[kind].state_dict().items()
        }
        best = state["tally"]["best_step"] if state else None
        self._checkpoints.save(
            _name(stage, step) + ("" if state else "-end"),
            {**trained, **tensors},
            {
                **state,
                "stage": stage.name,
                "step": step,
                "results": [asdict(result) for result in self.results],
                "identity": self._identity,
            },
            keep=None if best is None else _name(stage, best),
        )

    def _load(self) -> Checkpoint | None:
        """Loads the newest checkpoint, and returns it if it stands within a stage."""
        found = self._checkpoints.newest()
        if found is None:
            self._metrics.rewind({})
            return None
        self._check_identity(found)
        self._take(found)
        self.results = [StageResult(**result) for result in found.state["results"]]
        stage, step = found.state["stage"], found.state["step"]
        self.resumed_at = f"{stage}/{step}"
        self._metrics.rewind({**{result.stage: result.steps for result in self.results}, stage: step})
        return found if "tally" in found.state else None

    def _take(self, found: Checkpoint) -> None:
        """Gives the model a checkpoint's weights."""
        weights = self._model.state_dict()
        for name, tensor in found.tensors.items():
            if name.startswith("model/"):
                weights[name.removeprefix("model/")].copy_(tensor)

    def _check_identity(self, found: Checkpoint) -> None:
        differing = differences(found.state["identity"], self._identity)
        if differing:
            raise TrainingError(
                f"the checkpoints here were made with other settings: {', '.join(d.path for d in differing)}",
                where=str(found.path.parent),
                hint="Use the settings they were made with, another folder, or delete this one to start over.",
            )


def _name(stage: Stage, step: int) -> str:
    """Returns a checkpoint's name; later ones sort later."""
    return f"{list(STAGES).index(stage.name)}-{stage.name}-{step:08d}"


@contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    """Leaves torch's random state as the caller had it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
