"""Reads the files of a study's folder: one function per file, and one text per thing that may be wrong with it.

What is not there yet is None, or empty; what is damaged raises. Whoever writes these files stands in `execution`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cobra_kit.data.rows import HeldOutSplit
from cobra_kit.errors import DamagedFile, UnreadableFile
from cobra_kit.evaluate.score import read_scores
from cobra_kit.files import (
    FileDigest,
    bytes_digest,
    check_file,
    inside,
    newest_json_lines,
    read_sealed_json,
    read_small,
    without_seal,
)
from cobra_kit.files.json_lines import LINES_BYTES
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.folder import MANIFEST, METRICS, RECIPE, SCORES, TRAINING
from cobra_kit.study.reading.stored_forms import (
    Form,
    MetricForm,
    RunManifestForm,
    StudyManifestForm,
    SummaryForm,
    TrainingForm,
    check_form,
)
from cobra_kit.trials.records import JOURNAL_HINT
from cobra_kit.trials.storage import JOURNAL

JOURNAL_DIGEST = "journal"
"""What a study's manifest calls the digest of its journal, as far as that was written with the last table."""
SPLIT: HeldOutSplit = "test"
"""What a table is made of; `val` selects, and is never reported."""
AGAIN = "Give the study's command again: it makes anew what is missing or damaged, and keeps the rest."
"""What to do about a damaged file that can be made from others."""
STUDY_HINT = "Delete it and give the study's command again: it is written anew, and what the runs have done is kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The time and the tokens that training a run took, with its stages' figures. JSON-able by `asdict`.

    Args:
        seconds: Seconds in optimiser steps of the run's own stages, over all processes.
        tokens: Real tokens that went through the model.
        padding_share: Share of all positions that was padding.
        parameters_trained: How many parameters some stage trained.
        image_tokens: Tokens of one image in the language model's input.
        stages: The stages' own figures; of one that other runs use too, also its key (`shared`) and which run made it.
        shared_seconds: Seconds in stages that were trained once for this run and others.
        peak_memory_bytes: The most memory that training took in its last process; None where nobody knows.
    """

    seconds: float
    tokens: int
    padding_share: float
    parameters_trained: int
    image_tokens: int
    stages: list[dict[str, Any]]
    shared_seconds: float = 0.0
    peak_memory_bytes: int | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Returns real tokens per second of training."""
        seconds = self.seconds + self.shared_seconds
        return self.tokens / seconds if seconds else None


def condition(control: str | None, split: HeldOutSplit = SPLIT) -> str:
    """Returns the name of what is scored: `test`, `val`, or `test-shuffled-images`."""
    return f"{split}-{control}" if control else split


def read_study_manifest(path: Path) -> dict[str, Any] | None:
    """Returns what describes the study in a folder, or None if there is none.

    Raises:
        UnreadableFile: It is damaged, or cannot be read now.
    """
    return _read(path / MANIFEST, StudyManifestForm, "what describes the study is damaged", STUDY_HINT)


def check_study_file(path: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """Checks a file of a study's folder against the digest that its manifest has of it; older ones have none.

    Raises:
        DamagedFile: The file is missing, or not what was written.
    """
    what = "recipe" if name == RECIPE else "lock"
    plain = manifest.get("files", {}).get(name)
    if not (path / name).exists():
        raise DamagedFile(path / name, f"the study's {what} is missing", AGAIN)
    if plain is None:
        return
    try:
        check_file(path / name, FileDigest.from_plain(plain, path / MANIFEST, hint=STUDY_HINT), AGAIN)
    except DamagedFile as error:
        raise DamagedFile(path / name, f"the study's {what} is damaged ({error.message})", AGAIN) from error


def damaged_recipe(file: Path, reason: str) -> DamagedFile:
    """Returns the error about a study whose recipe cannot be read."""
    return DamagedFile(file, f"the study's recipe is damaged ({' '.join(reason.split())})", AGAIN)


def check_journal(path: Path, manifest: Mapping[str, Any]) -> None:
    """Checks that a journal begins as it did when its study's work was done; what was cut off, nothing else misses.

    Args:
        path: The study's folder.
        manifest: The study's manifest; before its first table there is nothing to compare with.

    Raises:
        DamagedFile: It does not. One that was deleted is made again.
    """
    noted, file = manifest.get(JOURNAL_DIGEST), path / JOURNAL
    if noted is None or not file.is_file():
        return
    then = FileDigest.from_plain(noted, path / MANIFEST, hint=STUDY_HINT)
    with file.open("rb") as journal:
        now = bytes_digest(journal.read(max(0, then.bytes)))
    if now.bytes < then.bytes:
        raise DamagedFile(file, f"holds {now.bytes:,} bytes, {then.bytes:,} were written", JOURNAL_HINT)
    if now != then:
        raise DamagedFile(file, "its content is not what was written: the digest differs", JOURNAL_HINT)


def read_run_manifest(run_folder: Path) -> dict[str, Any] | None:
    """Returns what a run's numbers depend on, or None if it is not begun.

    Raises:
        DamagedFile: The manifest is damaged.
    """
    hint = "Delete it and give the study's command again: it is written anew, and the rest of the run is kept."
    return _read(run_folder / MANIFEST, RunManifestForm, "the run's manifest is damaged", hint)


def read_summary(run_folder: Path) -> dict[str, Any]:
    """Returns a run's scores by condition and benchmark; empty while nothing is scored.

    Raises:
        DamagedFile: The scores are damaged.
    """
    return without_seal(_read(run_folder / SCORES, SummaryForm, "the scores are damaged", AGAIN) or {})


def read_benchmark_scores(run_folder: Path, entry: Mapping[str, Any]) -> list[QuestionScore]:
    """Returns the scores of a benchmark's questions.

    Args:
        run_folder: The run's folder.
        entry: What `read_summary` says about the benchmark.

    Raises:
        DamagedFile: They are missing or damaged.
    """
    path = check_benchmark_scores(run_folder, entry)
    scores = read_scores(path, hint=AGAIN)
    expected = entry.get("questions")
    if expected is not None and len(scores) != expected:
        raise DamagedFile(path, f"holds {len(scores):,} scores, {expected:,} were written", AGAIN)
    return scores


def check_benchmark_scores(run_folder: Path, entry: Mapping[str, Any]) -> Path:
    """Returns the file of a benchmark's scores; it holds what was written, as far as there is a digest of it.

    Raises:
        DamagedFile: It is missing or damaged, or its name leads out of the run's folder.
    """
    path = inside(run_folder, entry["file"], run_folder / SCORES, hint=AGAIN)
    if not path.is_file():
        raise DamagedFile(path, "no such scores", AGAIN)
    if entry.get("digest") is not None:
        check_file(path, FileDigest.from_plain(entry["digest"], run_folder / SCORES, hint=AGAIN), AGAIN)
    return path


def read_training(run_folder: Path) -> Training | None:
    """Returns what training took, or None if it is not finished.

    Raises:
        DamagedFile: The file is damaged.
    """
    figures = _read(run_folder / TRAINING, TrainingForm, "what training took is damaged", AGAIN)
    return None if figures is None else Training(**{name: figures[name] for name in _FIGURES if name in figures})


def saved_files(run_folder: Path) -> dict[str, FileDigest]:
    """Returns the digests of the small files of a trained model that `read_training` tells of; older runs have none.

    Raises:
        DamagedFile: The file is damaged.
    """
    figures = _read(run_folder / TRAINING, TrainingForm, "what training took is damaged", AGAIN) or {}
    listed = figures.get("files") or {}
    return {name: FileDigest.from_plain(plain, run_folder / TRAINING, hint=AGAIN) for name, plain in listed.items()}


def is_scored(run_folder: Path, what: str) -> bool:
    """Returns whether a run has all scores of a condition."""
    return what in read_summary(run_folder)


def read_metrics(run_folder: Path, last: int = 0) -> list[dict[str, Any]]:
    """Returns what a run logged, line by line; of one that is going on, the lines that are whole.

    Args:
        run_folder: The run's folder.
        last: Look at that many lines of the end; 0: at all of them.
    """
    entries: list[dict[str, Any]] = []
    for entry in newest_json_lines(run_folder / METRICS):
        if last and len(entries) == last:
            break
        if _is_logged(entry):
            entries.append(entry)
    return entries[::-1]


def damaged_metrics(run_folder: Path, read: Sequence[Mapping[str, Any]] | None = None) -> int:
    """Returns how many lines of a run's log `read_metrics` leaves out, since they are not as they were written.

    Args:
        run_folder: The run's folder.
        read: What `read_metrics` returned; None: it is asked.
    """
    try:
        written = read_small(run_folder / METRICS, LINES_BYTES).count(b"\n")
    except (OSError, UnreadableFile):
        return 0
    return max(0, written - len(read_metrics(run_folder) if read is None else read))


def _is_logged(entry: Mapping[str, Any]) -> bool:
    try:
        check_form(MetricForm, entry, METRICS)
    except DamagedFile:
        return False
    return True


_FIGURES = frozenset(field.name for field in fields(Training))


def _read(path: Path, form: type[Form], problem: str, hint: str) -> dict[str, Any] | None:
    """Returns the mapping that a file holds, its seal included, or None where there is no file."""
    try:
        content = read_sealed_json(path, hint=hint)
        check_form(form, without_seal(content), path, hint=hint)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        raise DamagedFile(path, f"{problem} ({error.message})", hint) from error
    return content
