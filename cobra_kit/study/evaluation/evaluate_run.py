"""Asks a trained run more questions. Every answer is on disk before the next batch; a score follows the last answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cobra_kit._plugins import attributed
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.images import Images, LiveImages
from cobra_kit.data.rows import DataSource
from cobra_kit.errors import CobraError, DamagedFile, DataError
from cobra_kit.evaluate.answers import read_answers
from cobra_kit.evaluate.precision import apply_precision
from cobra_kit.evaluate.predict import check_choices, predict
from cobra_kit.evaluate.questions import check_questions
from cobra_kit.evaluate.score import BenchmarkScore, score, write_scores
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import file_digest, refuse_links_out, write_sealed_json
from cobra_kit.locks import locked
from cobra_kit.study.evaluation.asked_run import AskedRun
from cobra_kit.study.evaluation.opened import OpenedBenchmark, open_benchmarks
from cobra_kit.study.execution.devices import run_threads
from cobra_kit.study.execution.study_cache import readable
from cobra_kit.study.execution.write_results import write_table
from cobra_kit.study.folder import PREDICTIONS, StudyFolder
from cobra_kit.study.reading.loading import load
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.stored_evaluations import (
    EVALUATIONS,
    EVALUATIONS_FILE,
    StoredEvaluation,
    evaluation_key,
    read_evaluations,
)
from cobra_kit.study.reading.stored_files import SPLIT, check_benchmark_scores, read_run_manifest, read_summary
from cobra_kit.study.reading.stored_study import read_study
from cobra_kit.train import STAGES

if TYPE_CHECKING:
    from cobra_kit.model import VisionLanguageModel
    from cobra_kit.model.decoding import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The outcome of asking a run.

    Args:
        evaluations: One per benchmark, in the order of their names.
        in_table: Benchmarks that the study itself has asked, as they would be asked here.
        table: The study's table that the results have joined; None for a saved model alone.
    """

    evaluations: Sequence[StoredEvaluation]
    in_table: Sequence[str] = ()
    table: Path | None = None


def evaluate_run(
    run: AskedRun,
    benchmarks: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    split: str | None = None,
    root: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    device: str = "cpu",
    report: Reporter = silent,
) -> Evaluated:
    """Asks a run what it has not been asked yet, and returns all that was wanted.

    Called again after it was killed, it goes on: no question is asked twice, and the answers are those of a process
    that nobody killed.

    Args:
        run: The run to ask.
        benchmarks: Names of benchmarks of plugins; None: those of its recipe.
        limit: Most questions of each benchmark; None: all.
        split: The split of each benchmark; None: its protocol's.
        root: Where relative folders start.
        changes: Settings for every benchmark named.
        device: Where the model is.
        report: Told about everything.

    Raises:
        CobraError: Something is wrong with names, settings, data or the run; what was answered stays.
    """
    names = run.evaluate.benchmarks if benchmarks is None else benchmarks
    if not names:
        raise CobraError(
            "no benchmark is named, and the run's recipe names none",
            where="--benchmarks",
            hint="Name some, separated by commas; `cobra-kit plugins list --kind benchmark` has them.",
        )
    opened = open_benchmarks(run, names, limit=limit, split=split, root=root, changes=changes or {}, report=report)
    known = [each.name for each in opened if _is_asked_by_study(run, each)]
    wanted = [each for each in opened if each.name not in known]
    folder = run.folder / EVALUATIONS
    refuse_links_out(run.folder, 3)
    _make(folder)
    with locked(folder / ".lock", lambda: _refuse(run.folder)), run_threads(device):
        evaluations = _Evaluation(run, device, report).all_of(wanted) if wanted else []
    return Evaluated(evaluations=evaluations, in_table=known, table=_join_table(run))


class _Evaluation:
    """The asking of one run, whose model is loaded only if something is left to ask.

    Args:
        run: The run to ask.
        device: Where the model is.
        report: Told about everything.
    """

    def __init__(self, run: AskedRun, device: str, report: Reporter) -> None:
        self._run, self._device, self._report = run, device, report
        self._digest = run.model_digest()
        self._model: tuple[VisionLanguageModel, Precision] | None = None

    def all_of(self, wanted: Sequence[OpenedBenchmark]) -> list[StoredEvaluation]:
        """Returns the evaluations of some benchmarks, asked as far as they were not."""
        self._check_askable([opened for opened in wanted if self._stored(self._key(opened)) is None])
        return [self._stored(self._key(opened)) or self._ask(opened) for opened in wanted]

    def _check_askable(self, missing: Sequence[OpenedBenchmark]) -> None:
        """Raises what is wrong with any question of any benchmark, before the first one is asked."""
        for opened in missing:
            model, _ = self._loaded()
            with attributed((opened.extension,)):
                check_choices(model, opened.benchmark)
                check_questions({opened.name: opened.benchmark}, opened.image_ids(), model.processor.codec)

    def _ask(self, opened: OpenedBenchmark) -> StoredEvaluation:
        model, precision = self._loaded()
        evaluate, key = self._run.evaluate, self._key(opened)
        with attributed((opened.extension,)):
            images = self._images(opened, model)
        kept = readable({opened.name: opened.benchmark}, images, self._report)
        if opened.name not in kept:
            raise DataError("none of the pictures can be read", where=opened.name)
        predictions = predict(
            model,
            replace(kept[opened.name], name=opened.name),
            images,
            self._run.folder / EVALUATIONS / key / "predictions.jsonl",
            max_new_tokens=opened.protocol.max_new_tokens,
            batch_size=evaluate.batch_size,
            precision=precision,
            computed=evaluate.precision.label if evaluate.precision else None,
            report=self._report,
        )
        scored = score(kept[opened.name], predictions)
        left_out = len(opened.benchmark.questions) - len(predictions)
        self._write(key, opened, replace(scored, left_out=left_out))
        stored = self._stored(key)
        assert stored is not None  # written just now
        return stored

    def _images(self, opened: OpenedBenchmark, model: VisionLanguageModel) -> Images:
        """Returns the images as the study itself would show them: its numbers and these are to be the same."""
        source, features = cast("DataSource", opened), self._run.features
        features.mkdir(parents=True, exist_ok=True)
        train = self._run.recipe.train
        if train is None or all(STAGES[stage].frozen_encoder for stage in train.stages()):
            return FeatureCache.of(model, source, opened.image_ids(), features, report=self._report)
        return LiveImages(model, source, opened.image_ids(), features, self._report)

    def _loaded(self) -> tuple[VisionLanguageModel, Precision]:
        if self._model is None:
            model = load(self._run.folder, device=self._device)
            self._model = model, apply_precision(model, self._run.evaluate.precision)
        return self._model

    def _key(self, opened: OpenedBenchmark) -> str:
        return evaluation_key(opened.name, opened.protocol, self._digest)

    def _stored(self, key: str) -> StoredEvaluation | None:
        """Returns a finished evaluation of this very model; None where it has to be made, or made again."""
        for evaluation in self._listed():
            if evaluation.key == key:
                try:
                    check_benchmark_scores(self._run.folder, evaluation.entry)
                except DamagedFile as error:
                    self._report(Message(text=f"{error.where}: {error.message}; scored again", level="warning"))
                    return None
                return evaluation
        return None

    def _listed(self) -> list[StoredEvaluation]:
        """Returns what is listed of this model; answers of weights that are no longer there stand in no table."""
        try:
            return [each for each in read_evaluations(self._run.folder) if each.model == self._digest]
        except DamagedFile as error:
            self._report(Message(text=f"{error.where}: {error.message}; written anew", level="warning"))
            return []

    def _write(self, key: str, opened: OpenedBenchmark, scored: BenchmarkScore) -> None:
        file = f"{EVALUATIONS}/{key}/scores.jsonl"
        write_scores(self._run.folder / file, scored.scores)
        entry = {
            **scored.entry(file),
            "digest": asdict(file_digest(self._run.folder / file)),
            "benchmark": opened.name,
            "protocol": asdict(opened.protocol),
            "model": self._digest,
        }
        others = {each.key: dict(each.entry) for each in self._listed() if each.key != key}
        write_sealed_json(self._run.folder / EVALUATIONS_FILE, {**others, key: entry})


def _is_asked_by_study(run: AskedRun, opened: OpenedBenchmark) -> bool:
    """Returns whether the study has these very questions among its own, about the same data, by the same rule."""
    if run.study is None or opened.protocol.split != SPLIT or opened.protocol.subset:
        return False
    manifest, name = read_run_manifest(run.folder), opened.benchmark.name
    entry = read_summary(run.folder).get(SPLIT, {}).get(name)
    same_data = manifest is not None and manifest["data"] == opened.fingerprint
    if entry is None or not same_data or entry["rule"] != opened.protocol.rule:
        return False
    answers = read_answers(run.folder / PREDICTIONS / SPLIT / f"{name}.jsonl")
    return [line["question_id"] for line in answers] == [each.question_id for each in opened.benchmark.questions]


def _join_table(run: AskedRun) -> Path | None:
    """Writes the study's table anew, with what its runs were asked; returns its file."""
    if run.study is None:
        return None
    finished = read_study(run.study).finished()
    if finished is None:
        return None
    folder = StudyFolder(run.study)
    with locked(folder.final_lock, lambda: None):
        write_table(folder, study_table(finished, folder))
    return folder.table_json


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise DamagedFile(folder, "something else stands in place of the evaluations", "Delete it.") from error
    except OSError as error:
        raise CobraError(
            f"the answers cannot be kept: {error.strerror}",
            where=str(folder),
            hint="Make the run's folder writable, or copy it and ask the copy.",
        ) from error


def _refuse(folder: Path) -> None:
    raise CobraError(
        "another process is asking this run",
        where=str(folder),
        hint="Wait until it is done, or stop it; what it has answered is kept.",
    )
