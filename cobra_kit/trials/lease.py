"""The right to work on a trial: a name and a heartbeat in the study's storage.

Optuna knows that a trial runs, not whether anybody still runs it. A lease is an attribute of the trial,
`{"owner": .., "epoch": .., "beat": ..}`: its owner counts `beat` up; whoever has seen the same beat for too long, by a
clock that nobody sets, may take the trial over with a new epoch. An owner that was only slow finds another name there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cobra_kit.errors import CobraError
from cobra_kit.trials.worker_id import WorkerId, is_surely_dead

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

LEASE = "cobra_kit:lease"


class LeaseLostError(CobraError):
    """Another worker has taken the trial over; whatever this one finds no longer counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatConfig:
    """How long a silent worker is waited for.

    Args:
        beat_seconds: Between two heartbeats.
        expire_seconds: Of silence after which a trial may be taken over. A worker that cannot reach the storage for
            this long stops by itself.
    """

    beat_seconds: float = 10.0
    expire_seconds: float = 90.0


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a lease says.

    Args:
        owner: Who works on the trial.
        epoch: How often it was handed out before.
        beat: Counts up while the owner lives.
    """

    owner: WorkerId
    epoch: int
    beat: int


def read_lease(attributes: Mapping[str, Any]) -> LeaseRecord | None:
    """Returns the lease among a trial's user attributes, or None if it has none."""
    found = attributes.get(LEASE)
    return None if found is None else LeaseRecord(WorkerId(**found["owner"]), found["epoch"], found["beat"])


class Lease:
    """Held by one worker while it works on a trial; as a context manager it beats in the background.

    Args:
        storage: The study's.
        trial_id: The trial's number in the storage.
        mark: The first beat.
        terms: How often to beat.
    """

    def __init__(self, storage: BaseStorage, trial_id: int, mark: LeaseRecord, terms: HeartbeatConfig) -> None:
        self._storage, self._trial_id, self._mark, self._terms = storage, trial_id, mark, terms
        self._stop = threading.Event()
        self._lost: str | None = None
        self._renewed = time.monotonic()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._write()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raises `LeaseLostError` if the trial is another worker's, as far as this process has noticed."""
        if self._lost is None and time.monotonic() - self._renewed > self._terms.expire_seconds:
            self._lost = f"no heartbeat could be written for {self._terms.expire_seconds:g} s"
        if self._lost is not None:
            raise LeaseLostError(f"the trial was given up: {self._lost}")

    def confirm(self) -> None:
        """Asks the storage, and raises `LeaseLostError` if the trial is another worker's."""
        self._look()
        self.check()

    def _beat(self) -> None:
        while not self._stop.wait(self._terms.beat_seconds) and self._lost is None:
            with suppress(Exception):  # the storage is away: go on trying; `check` knows when to stop
                self._look()
                if self._lost is None:
                    self._write()

    def _look(self) -> None:
        mark = read_lease(self._storage.get_trial_user_attrs(self._trial_id))
        if mark is not None and (mark.owner, mark.epoch) != (self._mark.owner, self._mark.epoch):
            self._lost = f"{mark.owner} has taken it over"

    def _write(self) -> None:
        self._mark = LeaseRecord(self._mark.owner, self._mark.epoch, self._mark.beat + 1)
        self._storage.set_trial_user_attr(self._trial_id, LEASE, asdict(self._mark))
        self._renewed = time.monotonic()


class StaleTrialDetector:
    """Notices trials whose workers have gone, without believing any clock but its own.

    Args:
        terms: How long silence may last.
        clock: Seconds that only ever rise.
    """

    def __init__(self, terms: HeartbeatConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._terms, self._clock = terms, clock
        self._seen: dict[int, tuple[LeaseRecord | None, float]] = {}

    def silent(self, trial: FrozenTrial) -> bool:
        """Returns whether nobody works on a running trial any more: its process is known to be dead, or this watch has
        seen no beat for as long as the terms allow."""
        mark = read_lease(trial.user_attrs)
        if mark is not None and is_surely_dead(mark.owner):
            return True
        now = self._clock()
        known, since = self._seen.get(trial.number, (None, None))
        if since is None or known != mark:
            self._seen[trial.number] = (mark, now)
            return False
        return now - since > self._terms.expire_seconds
