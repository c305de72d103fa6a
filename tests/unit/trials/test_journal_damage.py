"""A damaged journal, or a stranger's: an error that names file and line, and a remedy; never another error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from cobra_kit.errors import CobraError
from cobra_kit.trials import NAME, StorageError, TrialQueue, TrialSpec, open_storage, work
from cobra_kit.trials.records import JOURNAL_HINT, check_records


def make_queue(folder: Path) -> TrialQueue:
    study = optuna.create_study(storage=open_storage(None, folder), study_name="s", load_if_exists=True)
    check_records(study, str(folder / "trials.journal"), JOURNAL_HINT, (NAME,))
    return TrialQueue(study, folder)


def finish(folder: Path, count: int = 3) -> Path:
    queue = make_queue(folder)
    queue.provide([TrialSpec(f"p{number}", {"x": float(number)}) for number in range(count)])
    work(queue, lambda leased: [leased.trial.suggest_float("x", 0, 1000)])
    return folder / "trials.journal"


def lines_of(journal: Path) -> list[bytes]:
    return journal.read_bytes().splitlines(keepends=True)


def without_checksum(line: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(line)
    del entry["crc32"]
    return entry


def test_optuna_itself_reads_the_journal(tmp_path: Path) -> None:
    journal = finish(tmp_path)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name="s", storage=storage)
    assert [trial.value for trial in study.get_trials()] == [0.0, 1.0, 2.0]


def test_what_other_tools_and_older_versions_wrote_is_read(tmp_path: Path) -> None:
    journal = finish(tmp_path)
    plain = [json.dumps(without_checksum(line)).encode() + b"\n" for line in lines_of(journal)]
    journal.write_bytes(b"".join(plain))
    assert [trial.value for trial in make_queue(tmp_path).trials()] == [0.0, 1.0, 2.0]
    note = {"op_code": 2, "worker_id": "dashboard", "study_id": 0, "user_attr": {"note": "mine"}}
    with journal.open("a") as file:
        file.write(json.dumps(note) + "\n")
    assert make_queue(tmp_path).study.user_attrs["note"] == "mine"


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_every_flipped_byte_of_a_line_is_noticed_and_the_file_and_line_are_named(tmp_path: Path, place: float) -> None:
    journal = finish(tmp_path)
    lines = lines_of(journal)
    number = int(place * len(lines))
    line = bytearray(lines[number])
    for position in range(0, len(line) - 1, 7):
        changed = line.copy()
        changed[position] ^= 1
        if b"\n" in changed[:-1] or b"\r" in changed:
            continue
        journal.write_bytes(b"".join([*lines[:number], bytes(changed), *lines[number + 1 :]]))
        error = ""
        try:
            values = [trial.value for trial in make_queue(tmp_path).trials()]
        except StorageError as damage:
            values, error = [], str(damage)
        if values:  # the checksum's own name was hit, and nothing else
            assert values == [0.0, 1.0, 2.0]
        else:
            assert f"trials.journal:{number + 1}: damaged: " in error
            assert "Delete it and give the command of the study again" in error


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b"[1, 2]",
        b"3",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"op_code": 99, "worker_id": "w"}',
        b'{"op_code": "4", "worker_id": "w"}',
        b'{"op_code": [], "worker_id": "w"}',
        b'{"op_code": 8, "worker_id": "w"}',
        b'{"op_code": 8, "worker_id": "w", "trial_id": [], "user_attr": {"a": 1}}',
        b'{"op_code": 8, "worker_id": "w", "trial_id": 0, "user_attr": []}',
        b'{"op_code": 8, "worker_id": 3, "trial_id": 0, "user_attr": {"a": 1}}',
        b'{"op_code": 6, "worker_id": "w", "trial_id": 3, "state": 9, "values": null}',
        b'{"op_code": 6, "worker_id": "w", "trial_id": 3, "state": 1, "values": "ab"}',
        b'{"op_code": 6, "worker_id": "w", "trial_id": 3, "state": 1, "values": [1.0]}',
        b'{"op_code": 6, "worker_id": "w", "trial_id": 3, "state": 1, "values": [1], "datetime_complete": "never"}',
        b'{"op_code": 5, "worker_id": "w", "trial_id": 3, "param_name": "x", "param_value_internal": 1, '
        b'"distribution": "{}"}',
        b'{"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": "x"}',
        b'{"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": null, "intermediate_values": {"a": 1}}',
        b'{"op_code": 0, "worker_id": "w", "study_name": "t", "directions": [[]]}',
        b'{"op_code": 0, "worker_id": "w", "study_name": "t", "directions": []}',
        b'{"op_code": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_strange_line_is_named(tmp_path: Path, line: bytes) -> None:
    queue = make_queue(tmp_path)
    queue.provide([TrialSpec(f"p{number}") for number in range(4)])
    journal = tmp_path / "trials.journal"
    number = len(lines_of(journal)) + 1
    with journal.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(StorageError, match=rf"trials.journal:{number}: damaged: "):
        make_queue(tmp_path)
    for _ in range(2):  # whoever had it open already is told, too, and never goes on behind the line
        with pytest.raises(StorageError, match="damaged"):
            queue.trials()


@pytest.mark.parametrize(
    "attribute",
    [{NAME: {}}, {NAME: ["p0"]}, {"cobra_kit:lease": 3}, {"cobra_kit:lease": {"owner": {}}}, {"cobra_kit:losses": []}],
)
def test_what_we_keep_with_a_trial_is_checked(tmp_path: Path, attribute: dict[str, Any]) -> None:
    queue = make_queue(tmp_path)
    queue.provide([TrialSpec("p0")])
    queue.study._storage.set_trial_user_attr(0, *next(iter(attribute.items())))
    with pytest.raises(StorageError, match=r"trials.journal: damaged: trial 0: .*\n +Delete it"):
        make_queue(tmp_path)


def test_a_trial_that_is_complete_without_values_is_named(tmp_path: Path) -> None:
    queue = make_queue(tmp_path)
    queue.provide([TrialSpec("p0")])
    queue.study._storage.set_trial_state_values(0, TrialState.COMPLETE)
    with pytest.raises(StorageError, match=r"trials.journal: damaged: trial 0: it is complete and has 0 of 1 values"):
        make_queue(tmp_path)


def test_zeros_of_a_power_cut_are_passed_over(tmp_path: Path) -> None:
    journal = finish(tmp_path)
    lines = lines_of(journal)
    for zeros in (b"".join([*lines, b"\0" * 700]), b"".join([*lines[:-1], b"\0" * 700, lines[-1]])):
        journal.write_bytes(zeros)
        assert [trial.value for trial in make_queue(tmp_path).trials()] == [0.0, 1.0, 2.0]
    journal.write_bytes(b"".join(lines) + b"\0" * 700)
    queue = make_queue(tmp_path)
    queue.provide([TrialSpec("p9", {"x": 9.0})])  # whoever writes next cuts them off
    assert b"\0" not in journal.read_bytes()


def test_deleting_a_damaged_journal_is_all_it_takes(tmp_path: Path) -> None:
    journal = finish(tmp_path)
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    with pytest.raises(StorageError, match="Delete it"):
        make_queue(tmp_path)
    journal.unlink()
    finish(tmp_path)
    assert [trial.value for trial in make_queue(tmp_path).trials()] == [0.0, 1.0, 2.0]


def test_what_is_no_file_is_neither_waited_for_nor_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trials.journal")
    with pytest.raises(StorageError, match="is a named pipe, not a file"):
        make_queue(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("no line end")
    study = tmp_path / "study"
    study.mkdir()
    (study / "trials.journal").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(CobraError, match="leads out of"):
        make_queue(study)
    assert (tmp_path / "mine.txt").read_text() == "no line end"
