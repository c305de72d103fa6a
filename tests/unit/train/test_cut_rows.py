"""A training whose rows are cut says so: in messages, metrics and results; and stops before a step where asked to."""

from __future__ import annotations

import json

import pytest
from toy_source import ToySource

from cobra_kit.data.rows import TrainingRow
from cobra_kit.errors import DataError
from cobra_kit.events import Message, StepDone
from cobra_kit.train import RunSettings, StageResult, TrainIntervals, train_run


class LongSource(ToySource):
    """Toy rows whose answers are far longer than the model takes."""

    def _row(self, i):
        row = super()._row(i)
        return TrainingRow(row.row_id, row.images, ((row.turns[0][0], "red and " * 800), *row.turns[1:]))


def begins(folder):
    return [line for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()) if not line["step"]]


def test_what_is_cut_is_in_messages_metrics_and_results(model, section, tmp_path):
    events = []
    result = train_run(model, LongSource(6), RunSettings(section(steps=2), seed=1), tmp_path, report=events.append)
    warnings = [e.text for e in events if isinstance(e, Message) and e.level == "warning"]
    assert [text.startswith("finetune: 6 of 6 rows are cut at 512 text tokens") for text in warnings] == [True]
    (stage,) = result.stages
    assert stage.cut_rows == 6
    assert 0 < stage.cut_supervised_tokens <= stage.cut_tokens
    assert stage.cut_supervised_tokens < stage.supervised_tokens
    (line,) = begins(tmp_path)
    assert (line["rows"], line["rejected_rows"], line["rows_seen"]) == (6, 0, 6)
    assert line["cut_tokens"] == stage.cut_tokens
    assert line["cut_supervised_tokens"] == stage.cut_supervised_tokens


@pytest.mark.parametrize("where", ["stage", "call"])
def test_more_than_is_allowed_is_refused_before_the_first_step(model, section, tmp_path, where):
    events = []
    settings, call = ({"max_cut_share": 0.5}, {}) if where == "stage" else ({}, {"max_cut_share": 0.5})
    with pytest.raises(DataError, match=r"train.finetune, row r0: .*, more than the 50.0% allowed"):
        train_run(
            model,
            LongSource(6),
            RunSettings(section(steps=2, **settings), seed=1, **call),
            tmp_path,
            report=events.append,
        )
    assert not [e for e in events if isinstance(e, StepDone)]
    stage = section(steps=2, max_cut_share=1.0)
    assert (
        train_run(model, LongSource(6), RunSettings(stage, seed=1, max_cut_share=0.5), tmp_path).stages[0].cut_rows == 6
    )


def test_a_later_stage_is_refused_before_an_earlier_one_is_trained(model, section, tmp_path):
    class Source(LongSource):
        def __init__(self):
            super().__init__(6)
            self.caption_rows = ToySource(6).rows

    events = []
    stages = section({"align": {"steps": 2}, "finetune": {"steps": 2, "max_cut_share": 0.1}})
    with pytest.raises(DataError, match=r"train.finetune, row r0"):
        train_run(model, Source(), RunSettings(stages, seed=1), tmp_path, report=events.append)
    assert not [e for e in events if isinstance(e, StepDone)]


def test_rows_that_a_short_stage_never_sees_are_told(model, section, tmp_path):
    events = []
    train_run(model, ToySource(9), RunSettings(section(steps=2), seed=1), tmp_path, report=events.append)
    assert "finetune: 2 steps see 8 of 9 rows" in [e.text for e in events if isinstance(e, Message)]
    (line,) = begins(tmp_path)
    assert (line["rows"], line["rows_seen"]) == (9, 8)


def test_turns_that_captions_leave_out_are_told(model, section, tmp_path):
    events = []
    result = train_run(
        model, ToySource(9), RunSettings(section({"align": {"steps": 1}}), seed=1), tmp_path, report=events.append
    )
    assert result.stages[0].unused_turns == 1
    assert "align: captions are first answers; 1 later turns are not learnt" in [
        e.text for e in events if isinstance(e, Message)
    ]


def test_a_resumed_run_has_one_beginning_and_an_allowance_is_no_other_training(make_model, section, tmp_path):
    class Stop(Exception):
        pass

    def report(event):
        if isinstance(event, StepDone) and event.step == 2:
            raise Stop

    intervals = TrainIntervals(log_steps=1, save_seconds=0)
    with pytest.raises(Stop):
        train_run(
            make_model(),
            LongSource(6),
            RunSettings(section(steps=4), seed=1, intervals=intervals),
            tmp_path,
            report=report,
        )
    train_run(
        make_model(),
        LongSource(6),
        RunSettings(section(steps=4, max_cut_share=1.0), seed=1, intervals=intervals),
        tmp_path,
    )
    assert len(begins(tmp_path)) == 1


def test_a_result_of_an_earlier_version_is_read():
    assert StageResult(
        stage="align", steps=1, rows=1, rejected_rows=0, loss=1.0, seconds=1.0, tokens=1, padded_tokens=1
    )
