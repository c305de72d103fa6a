"""Events to rows, and rows to a terminal of any size."""

from __future__ import annotations

import io
from pathlib import Path

import miniature
import pytest
from rich.console import Console

from cobra_kit.cli.progress import PlainProgress, column_widths, draw, fitting
from cobra_kit.cli.progress_rows import ProgressRow, ProgressRows, duration
from cobra_kit.events import Message, Progress, RunDone, RunStarted, StageDone, StageStarted, StepDone
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan.study_plan import make_plan


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study_rows(tmp_path: Path, clock: Clock) -> ProgressRows:
    return ProgressRows(make_plan(load_recipe(miniature.write(tmp_path))), clock)


def step(done: int) -> StepDone:
    return StepDone(
        arm="mlp-s7", stage="finetune", step=done, steps=1500, loss=0.4123, tokens_per_second=4210.4, seconds_left=112.0
    )


def drawn(study_rows: ProgressRows, width: int, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw(study_rows, console))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_rows_follow_a_run_from_waiting_to_done(study_rows: ProgressRows, clock: Clock) -> None:
    assert [row.facts for row in study_rows.rows] == ["waiting", "waiting"]
    study_rows.take(RunStarted(arm="mlp-s7", folder="f"))
    study_rows.take(StageStarted(arm="mlp-s7", stage="finetune", steps=1500, step=0, rows=9))
    study_rows.take(step(640))
    row = study_rows.rows[0]
    assert (row.label, row.facts, row.left) == ("mlp", "finetune  step 640/1,500  loss 0.412  4,210 tok/s", "1:52 left")
    study_rows.take(StageDone(arm="mlp-s7", stage="finetune", steps=1500, loss=0.3, seconds=9.0))
    clock.now = 10.0
    study_rows.take(Progress(arm="mlp-s7", task="test", done=0, total=5000, unit="questions"))
    clock.now = 20.0
    study_rows.take(Progress(arm="mlp-s7", task="test", done=1000, total=5000, unit="questions"))
    assert (row.facts, row.left) == ("test  1,000/5,000 questions", "0:40 left")
    study_rows.take(RunDone(arm="mlp-s7", seconds=171.0, worked=True))
    assert [row.facts for row in study_rows.rows] == ["trained in 2:51", "waiting"]


def test_shared_work_has_a_row_until_it_is_done(study_rows: ProgressRows, clock: Clock) -> None:
    study_rows.take(Progress(task="scenes", done=200, total=400, unit="pictures"))
    assert study_rows.rows[0].facts == "200/400 pictures"
    clock.now = 4.0
    done = study_rows.take(Progress(task="scenes", done=400, total=400, unit="pictures"))
    assert done is not None
    assert done.facts == "400 pictures  0:04"
    assert [row.label for row in study_rows.rows] == ["mlp", "linear"]


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_a_drawn_board_is_never_wider_than_the_terminal(study_rows: ProgressRows, width: int) -> None:
    study_rows.take(step(640))
    lines = drawn(study_rows, width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("mlp     finetune")
    assert lines[0].endswith("1:52 left")
    assert ("━" in lines[0]) == (width >= 80)


def test_many_runs_fit_a_low_terminal(study_rows: ProgressRows) -> None:
    rows = [ProgressRow(f"a{i}", state="done") for i in range(20)] + [
        ProgressRow("now", state="working"),
        ProgressRow("b"),
        ProgressRow("c"),
    ]
    kept, hidden = fitting(rows, 5)
    assert len(kept) + 1 <= 5
    assert hidden == 23 - len(kept)
    assert [row.label for row in kept] == ["a19", "now", "b", "c"]
    assert fitting(rows[-3:], 5) == (rows[-3:], 0)


def test_the_bar_gives_way_first() -> None:
    row = ProgressRow("mlp", state="working", task="finetune", unit="step", done=1, total=9, figures="x" * 40)
    assert column_widths([row], 80)[2] > 0
    assert column_widths([row], 60)[2] == 0


def test_plain_lines_are_few(study_rows: ProgressRows, capsys: pytest.CaptureFixture[str]) -> None:
    report = PlainProgress(study_rows)
    report(StageStarted(arm="mlp-s7", stage="finetune", steps=1500, step=0, rows=9))
    for done in range(1, 1500):
        report(step(done))
    report(Message(text="3 rows are left out", level="warning"))
    report(RunDone(arm="mlp-s7", seconds=3.0, worked=False))
    assert capsys.readouterr().err.splitlines() == [
        "mlp: finetune  step 0/1,500",
        "warning: 3 rows are left out",
        "mlp: trained in 0:03, finished before",
    ]


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 59.6, 112, 7383)] == ["0:00", "1:00", "1:52", "2:03:03"]
