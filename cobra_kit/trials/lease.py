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
    """The intervals of heartbeats, and the time that a silent worker is waited for.

    Args:
        beat_seconds: Seconds between two heartbeats.
        expire_seconds: Seconds of silence after which a trial may be taken over. A worker that cannot reach the storage
            for this long stops by itself.
    """

    beat_seconds: float = 10.0
    expire_seconds: float = 90.0


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The content of a lease.

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
    lease = attributes.get(LEASE)
    return None if lease is None else LeaseRecord(WorkerId(**lease["owner"]), lease["epoch"], lease["beat"])


class Lease:
    """A lease that one worker holds while it works on a trial; as a context manager it beats in the background.

    Args:
        storage: The storage of the study.
        trial_id: The trial's number in the storage.
        record: The first beat.
        heartbeat: How often to beat, and when a silent lease has run out.
    """

    def __init__(self, storage: BaseStorage, trial_id: int, record: LeaseRecord, heartbeat: HeartbeatConfig) -> None:
        self._storage, self._trial_id, self._record, self._heartbeat = storage, trial_id, record, heartbeat
        self._stop = threading.Event()
        self._lost: str | None = None
        self._renewed = time.monotonic()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._write()
        # A thread, not a beat per step: a step may take longer than the others wait.
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raises `LeaseLostError` if the trial is another worker's, as far as this process has noticed."""
        if self._lost is None and time.monotonic() - self._renewed > self._heartbeat.expire_seconds:
            self._lost = f"no heartbeat could be written for {self._heartbeat.expire_seconds:g} s"
        if self._lost is not None:
            raise LeaseLostError(f"the trial was given up: {self._lost}")

    def confirm(self) -> None:
        """Asks the storage, and raises `LeaseLostError` if the trial is another worker's."""
        self._read()
        self.check()

    def _beat(self) -> None:
        while not self._stop.wait(self._heartbeat.beat_seconds) and self._lost is None:
            with suppress(Exception):  # the storage is away: go on trying; `check` knows when to stop
                self._read()
                if self._lost is None:
                    self._write()

    def _read(self) -> None:
        record = read_lease(self._storage.get_trial_user_attrs(self._trial_id))
        if record is not None and (record.owner, record.epoch) != (self._record.owner, self._record.epoch):
            self._lost = f"{record.owner} has taken it over"

    def _write(self) -> None:
        self._record = LeaseRecord(self._record.owner, self._record.epoch, self._record.beat + 1)
        self._storage.set_trial_user_attr(self._trial_id, LEASE, asdict(self._record))
        self._renewed = time.monotonic()


class StaleTrialDetector:
    """Notices trials whose workers have gone, without believing any clock but its own.

    Args:
        heartbeat: How long silence may last.
        clock: Seconds that only ever rise.
    """

    def __init__(self, heartbeat: HeartbeatConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._heartbeat, self._clock = heartbeat, clock
        self._seen: dict[int, tuple[LeaseRecord | None, float]] = {}

    def is_stale(self, trial: FrozenTrial) -> bool:
        """Returns whether nobody works on a running trial any more: its process is known to be dead, or this
        process has seen no beat for as long as the configuration allows."""
        record = read_lease(trial.user_attrs)
        if record is not None and is_surely_dead(record.owner):
            return True
        now = self._clock()
        known, since = self._seen.get(trial.number, (None, None))
        if since is None or known != record:
            self._seen[trial.number] = (record, now)
            return False
        return now - since > self._heartbeat.expire_seconds
