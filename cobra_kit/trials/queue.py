"""The trials of a study, as every worker of it sees them: who works on which, what is waiting, what is done.

A trial has a name, fixed parameters and whatever else is kept with it. It is recorded once and ends once. A worker
takes a waiting trial (the storage lets only one of them do so), holds a lease while it works, and ends it. A trial
whose worker has gone silent goes back to waiting with its parameters, so the next worker goes on from its checkpoint.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobra_kit.errors import CobraError, kind_of
from cobra_kit.locks import locked
from cobra_kit.names import is_run_name
from cobra_kit.trials.failures import FAILURES, read_failures
from cobra_kit.trials.lease import (
    LEASE,
    HeartbeatConfig,
    Lease,
    LeaseLostError,
    LeaseRecord,
    StaleTrialDetector,
    read_lease,
)
from cobra_kit.trials.optuna_internals import begun_trial, fixed_params, is_ended_elsewhere, storage_of, trial_id_of
from cobra_kit.trials.storage_error import StorageError
from cobra_kit.trials.worker_id import this_process

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial, TrialState

_LONGEST_VIEW = 5.0
"""Seconds for which what was read of the storage is believed: reading a thousand trials takes a database a while."""
_FAILURE_HINT = "Too little memory is the usual cause."
FOREIGN_HINT = (
    "Somebody else wrote it. Delete the study's trials.journal, or name another --storage: what is trained "
    "and scored stays and is recorded again by `cobra-kit run` or `cobra-kit sweep`."
)
"""What to do about a trial that none of ours recorded."""

TRIALS_LOCK = ".trials.lock"
NAME, REASON, ERROR = "cobra_kit:name", "cobra_kit:reason", "cobra_kit:error"
INFEASIBLE = "cobra_kit:infeasible"


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """A trial that is to be run.

    Args:
        name: Identifies it within the study, and names its folder.
        params: Values that are fixed; all others are the sampler's to suggest.
        attributes: Anything JSON has, kept with the trial.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


def trial_name(trial: FrozenTrial | Trial, folder: Path | None = None, key: str = NAME) -> str:
    """Returns the name of a trial as its storage has it: anybody may have written there, and it names a folder.

    Args:
        trial: The trial as Optuna has it.
        folder: The study's, for the error.
        key: Which of its attributes: `NAME`, or the one that names its run.

    Raises:
        StorageError: The recorded name is none that a trial may have.
    """
    name = trial.user_attrs[key]
    if not is_run_name(name):
        shown = ascii(name[:60]) if isinstance(name, str) else kind_of(name)
        raise StorageError(
            f"trial {trial.number} is recorded under the name {shown}, and none of ours is called so",
            where=None if folder is None else str(folder),
            hint=FOREIGN_HINT,
        )
    return str(name)


class LeasedTrial:
    """A trial that this worker works on.

    Args:
        trial: Optuna's trial: `suggest_*`, `report`, `should_prune`.
        lease: The right to work on it.
        resumed: Whether another worker began it.
    """

    def __init__(self, trial: Trial, lease: Lease, resumed: bool) -> None:
        self.trial, self.lease, self.resumed = trial, lease, resumed

    @property
    def number(self) -> int:
        """Returns the trial's number in the study."""
        return self.trial.number

    @property
    def name(self) -> str:
        """Returns the name under which it was recorded.

        Raises:
            StorageError: It is none that a trial may have.
        """
        return trial_name(self.trial)

    def check(self) -> None:
        """Raises `LeaseLostError` if the trial is another worker's; cheap enough for every step."""
        self.lease.check()


class TrialQueue:
    """One worker's view of a study's trials.

    Args:
        study: Optuna's study, with its sampler and pruner.
        folder: The study's folder; workers that share it never take a trial over at the same moment.
        heartbeat: How long a silent worker is waited for.
        sampler: Makes the sampler of a trial from its number, so that what is suggested does not depend on how many
            workers there are and how often they were started; None: the study's own sampler for all.
        progress_of: Returns a number that grows while the trial of that name gets further. A trial that loses several
            workers without it has failed.
        failure_hint: What may be done about such a trial; for its error.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        heartbeat: HeartbeatConfig | None = None,
        sampler: Callable[[int], BaseSampler] | None = None,
        progress_of: Callable[[str], int] = lambda name: 0,
        failure_hint: str = _FAILURE_HINT,
    ) -> None:
        import optuna

        self.study, self._folder, self._sampler, self._progress_of = study, folder, sampler, progress_of
        self._heartbeat, self._failure_hint, self._owner = heartbeat or HeartbeatConfig(), failure_hint, this_process()
        self._storage, self._states = storage_of(study), optuna.trial.TrialState
        self._stale_trials = StaleTrialDetector(self._heartbeat)
        self._waiting: deque[FrozenTrial] = deque()
        self._first: dict[str, int] = {}
        self._seen = -_LONGEST_VIEW

    def provide(self, specs: Sequence[TrialSpec], *, retry_failed: bool = True) -> None:
        """Records the trials that are not there yet, in this order.

        Args:
            specs: All trials of the study.
            retry_failed: Record a trial that failed anew, unless others are at work: whoever joins them does not ask
                for that.
        """
        import optuna

        self.requeue_stale()
        with self._alone():
            trials = self.trials()
            busy = any(trial.state == self._states.RUNNING for trial in trials)
            counted = [trial for trial in trials if trial.state != self._states.FAIL or busy or not retry_failed]
            recorded = {trial_name(trial, self._folder) for trial in counted}
            for spec in specs:
                if spec.name in recorded:
                    continue
                self.study.add_trial(
                    optuna.trial.create_trial(
                        state=self._states.WAITING,
                        system_attrs=fixed_params(spec.params),
                        user_attrs={**spec.attributes, NAME: spec.name},
                    )
                )

    def trials(self) -> list[FrozenTrial]:
        """Returns all trials as they are now; those that other tools put into the study are none of ours."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if NAME in trial.user_attrs]

    def take(self) -> LeasedTrial | None:
        """Returns a waiting trial for this worker, or None if none waits now.

        Trials of workers that have gone silent are put back first.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        self._refresh()
        while self._waiting:
            frozen = self._waiting.popleft()
            trial_id = trial_id_of(frozen)
            try:
                if not self._storage.set_trial_state_values(trial_id, state=self._states.RUNNING):
                    continue  # another worker was faster
            except UpdateFinishedTrialError:
                continue
            leased = self._hold(trial_id)
            first = self._first[leased.name]
            if first == leased.number:
                return leased
            self.fail(leased, f"recorded twice; trial {first} counts")
        return None

    def _refresh(self) -> None:
        """Reads what waits, unless it was read a moment ago."""
        if self._waiting and time.monotonic() - self._seen < min(_LONGEST_VIEW, self._heartbeat.beat_seconds):
            return
        self.requeue_stale()
        trials = self.trials()
        self._seen = time.monotonic()
        self._waiting = deque(trial for trial in trials if trial.state == self._states.WAITING)
        self._first = {}
        for trial in trials:
            if trial.state != self._states.FAIL:
                self._first.setdefault(trial_name(trial, self._folder), trial.number)

    def requeue_stale(self) -> list[int]:
        """Puts trials whose workers have gone silent back to waiting, and returns their numbers.

        One that has lost too many workers without getting further has failed.
        """
        running = [trial for trial in self.trials() if trial.state == self._states.RUNNING]
        stale = [trial for trial in running if self._stale_trials.is_stale(trial)]
        if not stale:
            return []
        requeued = []
        with self._alone():
            # Read again under the lock: another worker may have been faster since.
            now = {trial.number: trial for trial in self.trials()}
            for seen in stale:
                record, trial = read_lease(seen.user_attrs), now[seen.number]
                if trial.state != self._states.RUNNING or read_lease(trial.user_attrs) != record:
                    continue
                if self._requeue(trial, record):
                    requeued.append(trial.number)
        return requeued

    def _requeue(self, trial: FrozenTrial, record: LeaseRecord | None) -> bool:
        """Puts a trial whose last worker held `record` back to waiting; returns False where it has failed instead."""
        trial_id = trial_id_of(trial)
        # Our own lease first: from here on the others see a living worker there, and wait.
        epoch = record.epoch + 1 if record else 1
        self._storage.set_trial_user_attr(trial_id, LEASE, asdict(LeaseRecord(self._owner, epoch, 0)))
        failures = read_failures(trial.user_attrs).with_another(self._progress_of(trial_name(trial, self._folder)))
        self._storage.set_trial_user_attr(trial_id, FAILURES, asdict(failures))
        if failures.too_many:
            error = failures.error_text(record.owner if record else "unknown", self._failure_hint)
            self._storage.set_trial_user_attr(trial_id, ERROR, error)
        state = self._states.FAIL if failures.too_many else self._states.WAITING
        self._storage.set_trial_state_values(trial_id, state=state)
        return not failures.too_many

    def is_finished(self) -> bool:
        """Returns whether every trial has ended."""
        return all(trial.state.is_finished() for trial in self.trials())

    def open_names(self) -> set[str]:
        """Returns the names of the trials that have not ended."""
        return {trial_name(trial, self._folder) for trial in self.trials() if not trial.state.is_finished()}

    def complete(self, leased: LeasedTrial, values: Sequence[float]) -> None:
        """Ends a trial with its objective values.

        Raises:
            LeaseLostError: It is another worker's by now; nothing was recorded.
        """
        self._end(leased, lambda: self.study.tell(leased.trial, list(values)))

    def prune(self, leased: LeasedTrial, reason: str, *, infeasible: bool = False) -> None:
        """Ends a trial that is not worth going on with, or cannot be run at all; the reason is kept.

        Raises:
            LeaseLostError: It is another worker's by now.
        """

        def tell() -> None:
            if infeasible:
                leased.trial.set_user_attr(INFEASIBLE, True)
            self._tell_with_text(leased, REASON, reason, self._states.PRUNED)

        self._end(leased, tell)

    def fail(self, leased: LeasedTrial, error: str) -> None:
        """Ends a trial that went wrong; the error is kept.

        Raises:
            LeaseLostError: It is another worker's by now.
        """
        self._end(leased, lambda: self._tell_with_text(leased, ERROR, error, self._states.FAIL))

    def give_back(self, leased: LeasedTrial) -> None:
        """Puts this worker's own trial back to waiting, as on Ctrl-C: the next one need not wait for silence."""
        try:
            leased.lease.confirm()
        except LeaseLostError:
            return
        leased.lease.__exit__(None, None, None)
        self._storage.set_trial_state_values(trial_id_of(leased.trial), state=self._states.WAITING)

    def _hold(self, trial_id: int) -> LeasedTrial:
        frozen = self._storage.get_trial(trial_id)
        before = read_lease(frozen.user_attrs)
        record = LeaseRecord(self._owner, before.epoch + 1 if before else 1, 0)
        lease = Lease(self._storage, trial_id, record, self._heartbeat).__enter__()
        if self._sampler is not None:
            self.study.sampler = self._sampler(frozen.number)
        return LeasedTrial(begun_trial(self.study, trial_id), lease, resumed=before is not None)

    def _tell_with_text(self, leased: LeasedTrial, key: str, text: str, state: TrialState) -> None:
        leased.trial.set_user_attr(key, text)
        self.study.tell(leased.trial, state=state)

    def _end(self, leased: LeasedTrial, tell: Callable[[], object]) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        leased.lease.confirm()
        try:
            tell()
        except UpdateFinishedTrialError as error:
            raise LeaseLostError("another worker has ended the trial") from error
        except ValueError as error:
            if not is_ended_elsewhere(error):
                raise CobraError(f"the trial's result is no number: {error}") from error
            raise LeaseLostError(f"another worker has the trial: {error}") from error
        finally:
            leased.lease.__exit__(None, None, None)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the folder's lock: what is read within is still so when it is written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / TRIALS_LOCK, lambda: None):
            yield
