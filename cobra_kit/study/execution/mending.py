"""The mending of what is damaged or missing in a run and can be made from the rest: told, then treated as not done.

Scores are made from the answers, the saved model from the last checkpoint, its small files from the plan. So a run that
is started again needs nobody to delete a file first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit.data.rows import HeldOutSplit
from cobra_kit.errors import DamagedFile, WeightsError, is_shortage
from cobra_kit.evaluate.control import CONTROLS
from cobra_kit.events import Message, Reporter
from cobra_kit.files import bytes_digest, check_file, json_bytes, write_bytes
from cobra_kit.model.checkpoint import WEIGHTS
from cobra_kit.study.folder import LOCK_FILE, PREDICTIONS, RECIPE
from cobra_kit.study.plan.study_plan import RunPlan
from cobra_kit.study.reading.loading import has_checkpoint, load
from cobra_kit.study.reading.stored_files import (
    AGAIN,
    Training,
    check_benchmark_scores,
    condition,
    read_benchmark_scores,
    read_summary,
    read_training,
    saved_files,
)

if TYPE_CHECKING:
    from cobra_kit.model import VisionLanguageModel


class Mending:
    """Looks at a run's files before it goes on.

    Args:
        run: The run whose files are looked at.
        folder: Path of the run's folder.
        report: Told about every file that is not what it was.
    """

    def __init__(self, run: RunPlan, folder: Path, report: Reporter) -> None:
        self._run, self._folder, self._report = run, folder, report

    def training(self) -> Training | None:
        """Returns what training took; None where it is not finished, or has to be gone through again.

        A finished one is loaded from its last checkpoint and nothing is trained, as long as that is there. Whoever
        deleted both the model and the checkpoints has made room: the scores stand, and nothing is trained again.
        """
        try:
            training = read_training(self._folder)
            if training is not None:
                self._saved_files()
                if not (self._folder / WEIGHTS).is_file() and has_checkpoint(self._folder):
                    raise DamagedFile(self._folder / WEIGHTS, "is missing")
        except DamagedFile as error:
            self._tell(error, "taken from the last checkpoint")
            return None
        return training

    def unscored(self, control: str | None, split: HeldOutSplit) -> list[str | None]:
        """Returns which conditions of a split have to be scored: without a control (None), and with it."""
        asked = list(dict.fromkeys((None, control)))
        try:
            summary = read_summary(self._folder)
        except DamagedFile as error:
            self._tell(error, "scored again from the answers")
            known = [name for name in CONTROLS if (self._folder / PREDICTIONS / condition(name, split)).is_dir()]
            return list(dict.fromkeys((*asked, *known)))
        conditions = {condition(name, split): name for name in (None, *CONTROLS)}
        damaged = [name for what, name in conditions.items() if what in summary and not self._whole(summary[what])]
        return list(dict.fromkeys((*(name for name in asked if condition(name, split) not in summary), *damaged)))

    def model(self, device: str) -> VisionLanguageModel | None:
        """Returns the trained model; None where it is damaged or missing, and has to come from a checkpoint.

        Too little memory to load it is no damage, and passes: a checkpoint would not fit either.
        """
        if not (self._folder / WEIGHTS).is_file():
            self._tell(DamagedFile(self._folder / WEIGHTS, "is missing"), "taken from the last checkpoint")
            return None
        try:
            return load(self._folder, device=device)
        except (WeightsError, DamagedFile) as error:
            if error.__cause__ is not None and is_shortage(error.__cause__):
                raise
            damage = DamagedFile(error.where or self._folder / WEIGHTS, error.message)
            self._tell(damage, "taken from the last checkpoint")
            return None

    def _whole(self, entries: dict[str, dict[str, object]]) -> bool:
        for entry in entries.values():
            try:
                if entry.get("digest") is None:  # nothing but reading it tells whether it is whole
                    read_benchmark_scores(self._folder, entry)
                else:
                    check_benchmark_scores(self._folder, entry)
            except DamagedFile as error:
                self._tell(error, "scored again from the answers")
                return False
        return True

    def _saved_files(self) -> None:
        """Writes the saved model's small files anew where they are not what was saved.

        Only where today's recipe gives the very bytes of then: other versions may resolve it otherwise.
        """
        texts = {
            RECIPE: self._run.resolved.to_yaml().encode("utf-8"),
            LOCK_FILE: json_bytes(self._run.resolved.lock(), indent=2) + b"\n",
        }
        for name, digest in saved_files(self._folder).items():
            path = self._folder / name
            try:
                check_file(path, digest, AGAIN)
            except DamagedFile as error:
                if name not in texts or bytes_digest(texts[name]) != digest:
                    raise
                self._tell(error, "written anew")
                write_bytes(path, texts[name])

    def _tell(self, error: DamagedFile, remedy: str) -> None:
        self._report(Message(text=f"{error.where}: {error.message}; {remedy}", level="warning"))
