"""Trials end once, whatever happens to their workers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import postgres
import pytest
from child_commands import until
from optuna.trial import TrialState

from cobra_kit.errors import CobraError
from cobra_kit.trials import (
    ERROR,
    NAME,
    REASON,
    HeartbeatConfig,
    Infeasible,
    LeaseLostError,
    StorageError,
    TrialQueue,
    TrialSpec,
    open_storage,
    work,
)
from cobra_kit.trials.database import PatientDatabase
from cobra_kit.trials.lease import StaleTrialDetector, read_lease

QUICK = HeartbeatConfig(beat_seconds=0.3, expire_seconds=2.0)
SLOW = HeartbeatConfig(beat_seconds=60, expire_seconds=600)


@pytest.fixture(autouse=True)
def _storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that ask for `url` run over every kind of storage; the others over the journal."""
    url = request.getfixturevalue("url") if "url" in request.fixturenames else None
    monkeypatch.setattr(sys.modules[__name__], "STORAGE", url)


STORAGE: str | None = None


def make_queue(folder: Path, heartbeat: HeartbeatConfig = SLOW) -> TrialQueue:
    study = optuna.create_study(
        storage=open_storage(STORAGE, folder),
        study_name="s" if STORAGE is None else folder.name,
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(seed=1),
    )
    return TrialQueue(study, folder, heartbeat)


def make_specs(count: int) -> list[TrialSpec]:
    return [TrialSpec(f"p{number}", {"x": float(number)}, {"arm": "a"}) for number in range(count)]


def value(leased) -> list[float]:
    return [leased.trial.suggest_float("x", 0, 1000)]


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch(queue: TrialQueue, clock: Callable[[], float]) -> None:
    """Lets a queue count the silence of others by another clock."""
    queue._stale_trials = StaleTrialDetector(SLOW, clock)


def states(queue: TrialQueue) -> Counter[str]:
    return Counter(trial.state.name for trial in queue.trials())


def test_every_point_is_run_once_and_in_order(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(5))
    queue.provide(make_specs(5))
    seen = []

    def objective(leased):
        seen.append(leased.name)
        return value(leased)

    assert work(queue, objective).completed == 5
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    assert [trial.value for trial in queue.trials()] == [0, 1, 2, 3, 4]
    assert all(trial.user_attrs["arm"] == "a" for trial in queue.trials())
    again = make_queue(tmp_path)
    again.provide(make_specs(6))
    assert work(again, objective).completed == 1


def test_what_is_not_fixed_is_the_sampler_s(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path)
    queue.provide([TrialSpec("t0"), TrialSpec("t1")])
    work(queue, value)
    first, second = (trial.params["x"] for trial in queue.trials())
    assert first != second


def test_failures_keep_their_error_and_the_study_goes_on(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(3))

    def objective(leased):
        if leased.name == "p0":
            raise CobraError("no such file", where="data.json", hint="Look elsewhere.")
        if leased.name == "p1":
            raise Infeasible("the projector needs a square grid")
        return value(leased)

    events = []
    outcome = work(queue, objective, report=events.append)
    assert (outcome.completed, outcome.failed, outcome.pruned) == (1, 1, 1)
    failed, infeasible, _ = queue.trials()
    assert "no such file" in failed.user_attrs[ERROR]
    assert "Look elsewhere." in failed.user_attrs[ERROR]
    assert infeasible.user_attrs[REASON] == "the projector needs a square grid"
    assert infeasible.state == TrialState.PRUNED
    assert [event.text for event in events] == ["p0 failed: no such file"]
    queue.provide(make_specs(3))  # what failed is tried anew; what was infeasible stays so
    assert states(queue) == {"FAIL": 1, "PRUNED": 1, "COMPLETE": 1, "WAITING": 1}


def test_fail_fast_raises_the_first_error(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(3))

    def objective(leased):
        raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError):
        work(queue, objective, fail_fast=True)
    assert states(queue) == {"FAIL": 1, "WAITING": 2}


def test_ctrl_c_gives_the_trial_back_at_once(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(1))

    def objective(leased):
        value(leased)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(queue, objective)
    assert states(queue) == {"WAITING": 1}
    leased = make_queue(tmp_path).take()
    assert leased is not None
    assert leased.resumed
    assert leased.trial.params == {"x": 0}


def test_a_silent_worker_s_trial_is_taken_over_and_it_cannot_end_it(tmp_path: Path, url: str | None) -> None:
    slow, quick, clock = make_queue(tmp_path), make_queue(tmp_path), Clock()
    watch(quick, clock)
    slow.provide([TrialSpec("t0")])
    leased = slow.take()
    assert leased is not None
    params = leased.trial.suggest_float("x", 0, 1000)
    assert quick.take() is None
    clock.now = SLOW.expire_seconds - 1
    assert quick.requeue_stale() == []
    clock.now = SLOW.expire_seconds + 1
    assert quick.requeue_stale() == [0]
    taken = quick.take()
    assert taken is not None
    assert (taken.number, taken.resumed) == (0, True)
    assert taken.trial.suggest_float("x", 0, 1000) == params  # the same point, not a new one
    for end in (lambda: slow.complete(leased, [1.0]), lambda: slow.fail(leased, "x"), lambda: slow.prune(leased, "x")):
        with pytest.raises(LeaseLostError, match="has taken it over"):
            end()
    quick.complete(taken, [2.0])
    assert [trial.value for trial in quick.trials()] == [2.0]
    with pytest.raises(LeaseLostError):
        slow.complete(leased, [1.0])


def test_a_living_worker_keeps_its_trial_however_long_it_takes(tmp_path: Path, url: str | None) -> None:
    heartbeat = HeartbeatConfig(beat_seconds=0.05, expire_seconds=SLOW.expire_seconds)
    queue, other, clock = make_queue(tmp_path, heartbeat), make_queue(tmp_path), Clock()
    watch(other, clock)
    queue.provide(make_specs(1))
    leased = queue.take()
    assert leased is not None
    seen = beat_of(other)
    for _ in range(5):
        assert other.take() is None
        clock.now += SLOW.expire_seconds - 1  # which is too long for two such silences, not for one
        until(lambda before=seen: beat_of(other) > before)
        seen = beat_of(other)
        leased.check()
    queue.complete(leased, value(leased))


def beat_of(queue: TrialQueue) -> int:
    """Returns the last beat of the one trial there is."""
    (trial,) = queue.trials()
    lease = read_lease(trial.user_attrs)
    assert lease is not None
    return lease.beat


def test_a_worker_notices_that_it_was_given_up(tmp_path: Path, url: str | None) -> None:
    queue, other = make_queue(tmp_path, QUICK), make_queue(tmp_path, QUICK)
    queue.provide(make_specs(1))
    leased = queue.take()
    assert leased is not None
    leased.lease.__exit__(None, None, None)  # its process hangs: no beat from here on
    other.take()
    time.sleep(2.5)
    assert other.take() is not None
    with pytest.raises(LeaseLostError, match=r"no heartbeat could be written for 2 s"):
        leased.check()


def test_clocks_that_jump_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make_queue(tmp_path, SLOW)
    queue.provide(make_specs(1))
    assert queue.take() is not None
    detector = StaleTrialDetector(SLOW)
    (trial,) = queue.trials()
    assert not detector.is_stale(trial)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert not detector.is_stale(trial)
    late = StaleTrialDetector(SLOW, clock=iter([0.0, 599.0, 601.0]).__next__)
    assert [late.is_stale(trial) for _ in range(3)] == [False, False, True]


def test_two_workers_never_get_the_same_trial(tmp_path: Path, url: str | None) -> None:
    queues = [make_queue(tmp_path) for _ in range(4)]
    queues[0].provide(make_specs(40))
    taken: list[str] = []

    def objective(leased):
        taken.append(leased.name)
        return value(leased)

    threads = [threading.Thread(target=work, args=(queue, objective)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"p{number}" for number in range(40))
    assert states(queues[0]) == {"COMPLETE": 40}


def test_a_point_recorded_twice_counts_once(tmp_path: Path, url: str | None) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(1))
    queue.study.enqueue_trial({"x": 0.0}, user_attrs={NAME: "p0"})  # as two machines without a common folder may do
    assert work(queue, value).completed == 1
    assert queue.trials()[1].user_attrs[ERROR] == "recorded twice; trial 0 counts"


@pytest.mark.parametrize("torn", [b'{"op_code":4,"wor', b"\x00\x00", b'{"op_code":4}'])
def test_half_a_line_of_a_killed_worker_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(2))
    journal = tmp_path / "trials.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + torn)
    assert len(queue.trials()) == 2
    work(queue, value)
    assert journal.read_bytes().startswith(whole)
    assert states(make_queue(tmp_path)) == {"COMPLETE": 2}


def test_a_full_disk_leaves_the_journal_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(1))
    before = (tmp_path / "trials.journal").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cobra_kit.trials.journal.os.fsync", full)
    with pytest.raises(CobraError, match="a trial cannot be recorded: No space left on device"):
        queue.provide(make_specs(2))
    monkeypatch.undo()
    assert (tmp_path / "trials.journal").read_bytes() == before
    assert work(make_queue(tmp_path), value).completed == 1


WORKER = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    import optuna
    from cobra_kit.trials import HeartbeatConfig, TrialQueue, open_storage, work

    folder = Path(sys.argv[1])
    study = optuna.load_study(storage=open_storage(None, folder), study_name="s")

    def objective(leased):
        x = leased.trial.suggest_float("x", 0, 1000)
        time.sleep(0.05)
        leased.check()
        return [x]

    # The journal grows whatever happens: no trial fails for having been killed too often.
    journal = folder / "trials.journal"
    # A worker that dies before it has signed for its trial leaves it to this silence.
    heartbeat = HeartbeatConfig(beat_seconds=0.2, expire_seconds=30)
    queue = TrialQueue(study, folder, heartbeat, progress_of=lambda name: journal.stat().st_size)
    work(queue, objective, poll_seconds=0.05)
""")


@pytest.mark.slow
def test_fifty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    queue = make_queue(tmp_path)
    queue.provide(make_specs(200))
    random_numbers = random.Random(3)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], stderr=subprocess.DEVNULL)

    workers = [start() for _ in range(3)]
    for kill in range(50):
        # Spread over the trials, not over seconds: none comes before there is anything to kill, or when all is done.
        until(lambda least=2 * kill + 1: states(queue)["COMPLETE"] + states(queue)["RUNNING"] >= least)
        time.sleep(random_numbers.uniform(0, 0.1))
        victim = random_numbers.randrange(len(workers))
        os.kill(workers[victim].pid, signal.SIGKILL)
        workers[victim].wait()
        workers[victim] = start()
    for worker in workers:
        assert worker.wait() == 0
    assert states(queue) == {"COMPLETE": 200}
    assert [trial.value for trial in queue.trials()] == [float(number) for number in range(200)]
    ended = Counter(
        entry["trial_id"]
        for line in (tmp_path / "trials.journal").read_text().splitlines()
        if (entry := json.loads(line)).get("state") == TrialState.COMPLETE.value
    )
    assert set(ended.values()) == {1}


def test_sqlite_is_refused_with_the_better_choice(tmp_path: Path) -> None:
    with pytest.raises(CobraError, match="SQLite is not kept by many workers at once") as caught:
        open_storage("sqlite:///a.db", tmp_path)
    assert "Leave --storage out" in str(caught.value)


def test_a_server_that_restarts_in_the_middle_loses_nothing(
    tmp_path: Path, server: postgres.Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "STORAGE", database)
    queue = make_queue(tmp_path)
    queue.provide(make_specs(4))
    restarts: list[threading.Thread] = []

    def objective(leased):
        values = value(leased)
        if leased.name == "p1":
            server.stop()
            restarts.append(threading.Timer(1.0, server.start))
            restarts[-1].start()
        return values

    assert work(queue, objective).completed == 4
    restarts[0].join()
    assert [trial.value for trial in make_queue(tmp_path).trials()] == [0, 1, 2, 3]


def test_a_server_that_stays_away_is_told_and_no_trial_is_blamed(
    tmp_path: Path, server: postgres.Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "STORAGE", database)
    queue = make_queue(tmp_path)
    queue.provide(make_specs(2))
    (database_of_queue,) = (kept for kept in vars(queue._storage).values() if isinstance(kept, PatientDatabase))

    def objective(leased):
        database_of_queue.waiting = replace(database_of_queue.waiting, seconds=0.5)
        server.stop()
        return value(leased)

    try:
        with pytest.raises(StorageError, match="the storage cannot be reached: ") as caught:
            work(queue, objective)
    finally:
        server.start()
    assert "Finished work is kept. Give the same command again when it is back." in str(caught.value)
    # This process lives, so its trial is waited for: for three seconds, by a clock that runs fast.
    again = make_queue(tmp_path)
    watch(again, lambda: 200 * time.monotonic())
    assert work(again, value, poll_seconds=0.2).completed == 2
    assert states(again) == {"COMPLETE": 2}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql+psycopg://nobody@127.0.0.1:1/db", "the storage cannot be reached: "),
        ("postgresql+nodriver://me@host/db", "no URL of a database: "),
        ("not a url", "no URL of a database: "),
    ],
)
def test_a_storage_out_of_reach_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    monkeypatch.setattr("cobra_kit.trials.database.PATIENCE", 0.2)
    with pytest.raises(StorageError, match=problem):
        open_storage(url, tmp_path)


def test_a_database_that_is_not_there_is_told_at_once(tmp_path: Path, database: str) -> None:
    started = time.monotonic()
    with pytest.raises(StorageError, match="does not exist"):
        open_storage(database.replace("/trials", "/elsewhere"), tmp_path)
    assert time.monotonic() - started < 20
