"""The trials of a study, as every worker of it sees them: who works on which, what is waiting, what is done.

A trial is a point: an arm and a seed, or a set of suggested parameters. It is recorded once and ends once. A worker
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

from cobra_kit.errors import CobraError
from cobra_kit.locks import locked
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
from cobra_kit.trials.worker_id import WorkerId, this_process

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

_LONGEST_VIEW = 5.0

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
        """Returns the name of its point."""
        return str(self.trial.user_attrs[NAME])

    def check(self) -> None:
        """Raises `LeaseLostError` if the trial is another worker's; cheap enough for every step."""
        self.lease.check()


class TrialQueue:
    """One worker's view of a study's trials.

    Args:
        study: Optuna's study, with its sampler and pruner.
        folder: The study's folder; workers that share it never take a trial over at the same moment.
        terms: How long a silent worker is waited for.
        owner: This worker.
        sampler: Makes the sampler of a trial from its number, so that what is suggested does not depend on how many
            workers there are and how often they were started; None: the study's own sampler for all.
        progress_of: Returns a number that grows while the trial of that name gets further. A trial that loses several
            workers without it has failed.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        terms: HeartbeatConfig | None = None,
        owner: WorkerId | None = None,
        sampler: Callable[[int], BaseSampler] | None = None,
        progress_of: Callable[[str], int] = lambda name: 0,
    ) -> None:
        import optuna

        self.study, self._folder, self._sampler, self._how_far = study, folder, sampler, progress_of
        self._terms, self._owner = terms or HeartbeatConfig(), owner or this_process()
        self._storage, self._states = study._storage, optuna.trial.TrialState
        self._watch = StaleTrialDetector(self._terms)
        self._waiting: deque[FrozenTrial] = deque()
        self._first: dict[str, int] = {}
        self._seen = -_LONGEST_VIEW

    def provide(self, points: Sequence[TrialSpec], *, retry_failed: bool = True) -> None:
        """Records the points that are not there yet, in this order.

        Args:
            points: All points of the study.
            retry_failed: Record a point that failed anew, unless others are at work: whoever joins them does not ask
                for that.
        """
        import optuna

        self.requeue_stale()
        with self._alone():
            trials = self.trials()
            busy = any(one.state == self._states.RUNNING for one in trials)
            counted = [one for one in trials if one.state != self._states.FAIL or busy or not retry_failed]
            there = {str(one.user_attrs[NAME]) for one in counted}
            for point in points:
                if point.name in there:
                    continue
                self.study.add_trial(
                    optuna.trial.create_trial(
                        state=self._states.WAITING,
                        system_attrs={"fixed_params": dict(point.params)} if point.params else {},
                        user_attrs={**point.attributes, NAME: point.name},
                    )
                )

    def trials(self) -> list[FrozenTrial]:
        """Returns all trials as they are now; those that other tools put into the study are none of ours."""
        return [one for one in self.study.get_trials(deepcopy=False) if NAME in one.user_attrs]

    def take(self) -> LeasedTrial | None:
        """Returns a waiting trial for this worker, or None if none waits now.

        Trials of workers that have gone silent are put back first.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        self._look()
        while self._waiting:
            frozen = self._waiting.popleft()
            trial_id = self._id(frozen)
            try:
                if not self._storage.set_trial_state_values(trial_id, state=self._states.RUNNING):
                    continue  # another worker was faster
            except UpdateFinishedTrialError:
                continue
            held = self._hold(trial_id)
            first = self._first[held.name]
            if first == held.number:
                return held
            self.fail(held, f"recorded twice; trial {first} counts")
        return None

    def _look(self) -> None:
        """Reads what waits. A view of a thousand trials takes a database a while, so it is used for some seconds."""
        if self._waiting and time.monotonic() - self._seen < min(_LONGEST_VIEW, self._terms.beat_seconds):
            return
        self.requeue_stale()
        trials = self.trials()
        self._seen = time.monotonic()
        self._waiting = deque(one for one in trials if one.state == self._states.WAITING)
        self._first = {}
        for one in trials:
            if one.state != self._states.FAIL:
                self._first.setdefault(str(one.user_attrs[NAME]), one.number)

    def requeue_stale(self) -> list[int]:
        """Puts trials whose workers have gone silent back to waiting, and returns their numbers.

        One that has lost too many workers without getting further has failed.
        """
        running = [one for one in self.trials() if one.state == self._states.RUNNING]
        silent = [one for one in running if self._watch.silent(one)]
        if not silent:
            return []
        found = []
        with self._alone():
            now = {one.number: one for one in self.trials()}
            for one in silent:
                mark = read_lease(one.user_attrs)
                fresh = now[one.number]
                if fresh.state != self._states.RUNNING or read_lease(fresh.user_attrs) != mark:
                    continue
                # Our own mark first: from here on the others see a living worker there, and wait.
                epoch = mark.epoch + 1 if mark else 1
                trial_id = self._id(one)
                self._storage.set_trial_user_attr(trial_id, LEASE, asdict(LeaseRecord(self._owner, epoch, 0)))
                losses = read_failures(fresh.user_attrs).with_another(self._how_far(str(fresh.user_attrs[NAME])))
                self._storage.set_trial_user_attr(trial_id, FAILURES, losses.plain())
                if losses.too_many:
                    self._storage.set_trial_user_attr(trial_id, ERROR, losses.told(mark.owner if mark else "unknown"))
                    self._storage.set_trial_state_values(trial_id, state=self._states.FAIL)
                    continue
                self._storage.set_trial_state_values(trial_id, state=self._states.WAITING)
                found.append(one.number)
        return found

    def is_finished(self) -> bool:
        """Returns whether every trial has ended."""
        return all(one.state.is_finished() for one in self.trials())

    def complete(self, held: LeasedTrial, values: Sequence[float]) -> None:
        """Ends a trial with its objective values.

        Raises:
            LeaseLostError: It is another worker's by now; nothing was recorded.
        """
        self._end(held, lambda: self.study.tell(held.trial, list(values)))

    def prune(self, held: LeasedTrial, reason: str, *, infeasible: bool = False) -> None:
        """Ends a trial that is not worth going on with, or cannot be run at all; the reason is kept.

        Raises:
            LeaseLostError: It is another worker's by now.
        """

        def tell() -> None:
            if infeasible:
                held.trial.set_user_attr(INFEASIBLE, True)
            self._tell(held, REASON, reason, self._states.PRUNED)

        self._end(held, tell)

    def fail(self, held: LeasedTrial, error: str) -> None:
        """Ends a trial that went wrong; the error is kept.

        Raises:
            LeaseLostError: It is another worker's by now.
        """
        self._end(held, lambda: self._tell(held, ERROR, error, self._states.FAIL))

    def give_back(self, held: LeasedTrial) -> None:
        """Puts this worker's own trial back to waiting, as on Ctrl-C: the next one need not wait for silence."""
        try:
            held.lease.confirm()
        except LeaseLostError:
            return
        held.lease.__exit__(None, None, None)
        self._storage.set_trial_state_values(held.trial._trial_id, state=self._states.WAITING)

    def _hold(self, trial_id: int) -> LeasedTrial:
        import optuna

        frozen = self._storage.get_trial(trial_id)
        before = read_lease(frozen.user_attrs)
        mark = LeaseRecord(self._owner, before.epoch + 1 if before else 1, 0)
        lease = Lease(self._storage, trial_id, mark, self._terms).__enter__()
        if self._sampler is not None:
            self.study.sampler = self._sampler(frozen.number)
        return LeasedTrial(optuna.Trial(self.study, trial_id), lease, resumed=before is not None)

    def _tell(self, held: LeasedTrial, key: str, text: str, state: Any) -> None:
        held.trial.set_user_attr(key, text)
        self.study.tell(held.trial, state=state)

    def _end(self, held: LeasedTrial, tell: Callable[[], object]) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        held.lease.confirm()
        try:
            tell()
        except UpdateFinishedTrialError as error:
            raise LeaseLostError("another worker has ended the trial") from error
        except ValueError as error:
            if "Cannot tell" not in str(error):
                raise CobraError(f"the trial's result is no number: {error}") from error
            raise LeaseLostError(f"another worker has the trial: {error}") from error
        finally:
            held.lease.__exit__(None, None, None)

    def _id(self, trial: FrozenTrial) -> int:
        return trial._trial_id

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the folder's lock: what is read within is still so when it is written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / TRIALS_LOCK, lambda: None):
            yield
