"""Studies that share a database: each has its name, and another recipe is kept out."""

from __future__ import annotations

import shlex
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

import miniature
import postgres
import pytest
import sqlalchemy

from cobra_kit.cli import main
from cobra_kit.errors import CobraError
from cobra_kit.files import user_cache
from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import open_session, trials_of
from cobra_kit.study.execution.trial_sources import Trials
from cobra_kit.study.reading.status import study_status
from cobra_kit.trials import open_storage
from cobra_kit.trials.storage_url import STORAGE_VARIABLE
from cobra_kit.trials.worker_pool import Workers

TEXT = miniature.search("train.finetune.learning_rate: {choices: [0.001, 0.002]}", sampler={"use": "grid"})


def source(folder: Path, text: str = TEXT) -> Trials:
    return trials_of(load_recipe(miniature.write(folder, text, "kept")))


def test_a_study_in_a_database_is_found_again_and_no_other_recipe_joins(tmp_path: Path, database: str) -> None:
    options = WorkerOptions(storage=database)
    with open_session(source(tmp_path), tmp_path / "one", options) as sweep:
        assert sweep.status().count("waiting") == 2
    assert not (tmp_path / "one" / "trials.journal").exists()
    assert study_status(tmp_path / "one").study == "kept"  # the folder knows where its trials are
    other = source(tmp_path, TEXT.replace("0.002", "0.003"))
    with (
        pytest.raises(CobraError, match="made by another recipe") as caught,
        open_session(other, tmp_path / "two", options),
    ):
        pass
    assert "[0.001, 0.002] there, [0.001, 0.003] now" in str(caught.value)
    assert "study kept" in str(caught.value)
    with open_session(other, tmp_path / "one", options, fresh=True) as renewed:
        assert renewed.status().count("waiting") == 2


@pytest.mark.parametrize("how", ["tester:secret@", "tester:se/cret@", "?password=secret"])
def test_a_password_is_not_written_down(tmp_path: Path, database: str, how: str) -> None:
    url = f"{database}{how}" if how.startswith("?") else database.replace("tester@", how)
    options = WorkerOptions(storage=url)
    with open_session(source(tmp_path, TEXT.replace("0.002", "0.005")), tmp_path / "three", options, fresh=True):
        pass
    folders = (tmp_path / "three", user_cache())
    kept = "".join(
        path.read_text(errors="replace") for folder in folders for path in folder.rglob("*") if path.is_file()
    )
    assert "secret" not in kept
    assert "cret@" not in kept
    with pytest.raises(CobraError, match=r"keeps its trials in postgresql\+psycopg://tester.*\*\*\*") as caught:
        study_status(tmp_path / "three")
    assert "Its password is kept nowhere." in str(caught.value)
    assert study_status(tmp_path / "three", options.storage).count("waiting") == 2


def test_a_look_makes_nothing_in_a_database(tmp_path: Path, server: postgres.Server) -> None:
    url = server.database("looked_at")
    with pytest.raises(CobraError, match="the database holds no trials"):
        open_storage(url, tmp_path, reading=True)
    assert sqlalchemy.inspect(sqlalchemy.create_engine(url)).get_table_names() == []
    open_storage(url, tmp_path)
    assert open_storage(url, tmp_path, reading=True).get_all_studies() == []


def test_a_database_of_something_else_is_told(tmp_path: Path, server: postgres.Server) -> None:
    url = server.database("of_another")
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE version_info (x integer)"))
    with pytest.raises(CobraError, match="the database cannot keep trials: "):
        open_storage(url, tmp_path)


def test_a_folder_that_came_from_elsewhere_is_not_believed(tmp_path: Path, database: str) -> None:
    with open_session(
        source(tmp_path, TEXT.replace("0.002", "0.007")), tmp_path / "mine", WorkerOptions(storage=database), fresh=True
    ):
        pass
    assert study_status(tmp_path / "mine").study == "kept"
    shutil.copytree(tmp_path / "mine", tmp_path / "foreign")
    with pytest.raises(CobraError, match="Nothing was connected to"):
        study_status(tmp_path / "foreign")
    assert study_status(tmp_path / "foreign", database).study == "kept"


def test_many_that_find_an_empty_database_at_once_all_join(tmp_path: Path, server: postgres.Server) -> None:
    url = server.database("empty")
    with ThreadPoolExecutor(8) as pool:
        storages = list(pool.map(lambda _: open_storage(url, tmp_path), range(8)))
    assert [storage.get_all_studies() for storage in storages] == [[]] * 8


@pytest.mark.slow
def test_a_whole_sweep_survives_a_server_that_restarts(
    tmp_path: Path, server: postgres.Server, context: ForkServerContext
) -> None:
    space = "train.finetune.learning_rate: {choices: [0.001, 0.002, 0.004, 0.008]}"
    text = miniature.search(space, sampler={"use": "grid"})
    recipe = miniature.write(tmp_path, text, "restarted")
    with open_session(trials_of(load_recipe(recipe)), tmp_path / "calm", WorkerOptions()) as sweep:
        sweep.work()
        calm = sweep.table()
    options, out = WorkerOptions(storage=server.database("restarts")), tmp_path / "restarted"
    # Every training waits in its middle, so that each restart falls into one, however fast the machine is.
    in_the_middle, go_on = context.Semaphore(0), context.Semaphore(0)
    words = (str(recipe), str(out), options.storage, (in_the_middle, go_on))
    workers = [context.Process(target=miniature.work_on, args=words) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in range(3):
        assert in_the_middle.acquire(timeout=300), "no worker trains"
        server.stop()
        go_on.release()
        time.sleep(0.7)
        server.start()
    for _ in range(100):  # whatever is left, and whatever is begun again
        go_on.release()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    with open_session(trials_of(load_recipe(recipe)), out, options) as sweep:
        assert sweep.work().completed == 0
        assert miniature.without_times(sweep.table()) == miniature.without_times(calm)
        assert [trial.state for trial in sweep.status().trials] == ["complete"] * 4


def test_workers_and_printed_commands_have_no_password_and_work(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pools: list[Workers] = []

    def start(pool: Workers) -> None:
        pools.append(pool)
        raise KeyboardInterrupt

    monkeypatch.setattr(Workers, "start", start)
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    url = database.replace("tester@", "tester:s3/cret@")
    recipe = miniature.write(tmp_path, TEXT.replace("0.002", "0.009"), "watched")
    words = ["sweep", str(recipe), "--out", str(tmp_path / "out"), "--storage", url, "--workers", "2"]
    assert main(words) == 130
    told = capsys.readouterr().err
    assert "cret" not in told
    # Typed as it was printed, it goes on with the password that the environment has.
    monkeypatch.setenv(STORAGE_VARIABLE, url)
    line = next(line for line in told.splitlines() if line.strip().startswith("cobra-kit sweep"))
    assert main(shlex.split(line)[1:]) == 130
    assert pools[0].command == pools[1].command
    for pool in pools:
        assert "cret" not in " ".join(pool.command)
        assert [environment[STORAGE_VARIABLE] for environment in pool.environments] == [url, url]
