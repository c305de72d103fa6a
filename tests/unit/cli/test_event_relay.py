"""What workers tell, brought to one board: every kind of event, half lines, and what several of them say."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from cobra_kit.cli.event_relay import EventRelay, EventWriter
from cobra_kit.cli.failure import ToldFailure, report
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message, Progress, RunDone, RunStarted, StageDone, StageStarted, StepDone

EVENTS = (
    RunStarted(arm="mlp-s1", folder="somewhere"),
    StageStarted(arm="mlp-s1", stage="finetune", steps=20, step=0, rows=60),
    StageDone(arm="mlp-s1", stage="finetune", steps=20, loss=1.5, seconds=2.0),
    Message(arm="mlp-s1", text="ümlaut\nand a second line", level="warning"),
    RunDone(arm="mlp-s1", seconds=3.0, worked=True),
)


def written(*events: Event) -> bytes:
    file = io.BytesIO()
    writer = EventWriter(file)
    for event in events:
        writer(event)
    return file.getvalue()


def test_every_event_arrives_as_it_was_and_once(tmp_path: Path) -> None:
    shown: list[Any] = []
    relay, file = EventRelay(shown.append), tmp_path / "0.events"
    relay.read([file])  # not there yet
    content = written(*EVENTS)
    file.write_bytes(content[:-20])
    relay.read([file])
    assert shown == list(EVENTS[:-1])
    file.write_bytes(content)
    relay.read([file])
    relay.read([file])
    assert shown == list(EVENTS)
    assert relay.done == ["mlp-s1"]
    assert relay.failure is None


def test_what_only_counts_up_is_thinned_out_but_for_its_end() -> None:
    def step(number: int) -> StepDone:
        return StepDone(stage="finetune", step=number, steps=500, loss=1.0, tokens_per_second=9.0, seconds_left=1.0)

    counts = (Progress(task="test", done=number, total=300, unit="questions") for number in range(1, 301))
    lines = [json.loads(line) for line in written(*map(step, range(1, 501)), *counts).splitlines() if line]
    assert 2 <= len(lines) < 200
    assert [line["step"] for line in lines if line["kind"] == "StepDone"][-1] == 500
    assert lines[-1]["done"] == 300


def test_a_killed_worker_spoils_no_line_of_the_next(tmp_path: Path) -> None:
    shown: list[Any] = []
    file = tmp_path / "0.events"
    file.write_bytes(
        b'{"kind": "RunDone", "arm": "ml' + written(EVENTS[0]) + b'[1]\n{"kind": "Other"}\n{"kind": "RunDone"}\n'
    )
    EventRelay(shown.append).read([file])
    assert shown == [EVENTS[0]]


def test_what_every_process_says_of_the_study_is_told_once(tmp_path: Path) -> None:
    shown: list[Any] = []
    relay, files = EventRelay(shown.append), [tmp_path / "0.events", tmp_path / "1.events"]
    opened, lost = Message(text="60 train pictures"), Message(text="mlp-s1 goes on", level="warning")
    of_a_run = [Message(arm=arm, text="answers were cut") for arm in ("mlp-s1", "linear-s1")]
    relay.own(opened)
    files[0].write_bytes(written(opened, lost, of_a_run[0], lost))
    files[1].write_bytes(written(opened, of_a_run[1]))
    relay.read(files)
    assert shown == [opened, lost, of_a_run[0], lost, of_a_run[1]]


@pytest.mark.parametrize(
    ("error", "status"), [(CobraError("no such arm", hint="Name one."), 1), (ZeroDivisionError("division by zero"), 70)]
)
def test_an_error_is_told_as_where_it_was_raised(
    error: Exception, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, relay = tmp_path / "0.events", EventRelay(lambda event: None)
    with file.open("wb") as stream:
        writer = EventWriter(stream)
        writer.failure(error)
        writer.failure(CobraError("another one, which comes too late"))
    relay.read([file])
    assert isinstance(relay.failure, ToldFailure)
    assert report(error, debug=False) == status
    here = capsys.readouterr().err
    assert report(relay.failure, debug=False) == status
    assert capsys.readouterr().err == here
    report(relay.failure, debug=True)
    assert type(error).__name__ in capsys.readouterr().err


def test_a_full_disk_loses_news_and_no_run() -> None:
    class Full(io.BytesIO):
        def write(self, *_: Any) -> int:
            raise OSError(28, "No space left on device")

    EventWriter(Full())(EVENTS[0])
