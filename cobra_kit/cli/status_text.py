"""The state of a study, as lines of text with their styles."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.columns import blocks, cut, cut_rows, wrap
from cobra_kit.formatting import duration, printable
from cobra_kit.report.protocols import grouped, protocol_lines
from cobra_kit.study.reading.status import (
    COMPLETE,
    FAILED,
    OPEN,
    RUNNING,
    STATES,
    STOPPED,
    WAITING,
    StudyStatus,
    TrialStatus,
)

Line = tuple[str, str]
"""A line and its style."""
_STYLES = {
    RUNNING: "bold",
    STOPPED: "red",
    COMPLETE: "green",
    FAILED: "red",
    "pruned": "yellow",
    "infeasible": "yellow",
}
_ROOM_FOR_SETTINGS = 124
_LONGEST_OUTCOME, _LONGEST_HOST = 50, 16
_OUTCOME = 2
_LONGEST_LINE, _LONGEST_CELL = 1000, 300


def status_lines(status: StudyStatus, width: int | None) -> list[Line]:
    """Returns everything: the overview, the best trial, a line per trial, and how the best was asked and scored.

    Args:
        status: The status of the whole study.
        width: Most characters of a line; None for no limit.
    """
    head = [(line, style) for text, style in _head(status, None) for line in _folded(text, width)]
    asked = protocol_lines(grouped(status.protocols), width or _LONGEST_LINE)
    below = [("", ""), *((line, "dim") for line in asked)] if asked else []
    return [*head, ("", ""), *_table(status, status.trials, width), *below]


def live_lines(status: StudyStatus, width: int, height: int) -> list[Line]:
    """Returns what fits a terminal: all trials where there is room, else those at work and the latest to have ended."""
    head = _head(status, width)
    room = max(1, height - len(head) - 3)
    visible = status.trials
    if len(visible) > room:
        order = {RUNNING: 0, FAILED: 1, STOPPED: 1, WAITING: 3}
        latest = sorted(visible, key=lambda trial: (order.get(trial.state, 2), -trial.number))
        visible = sorted(latest[:room], key=lambda trial: trial.number)
    more = [(f"  and {len(status.trials) - len(visible)} more", "dim")] if len(visible) < len(status.trials) else []
    return [*head, ("", ""), *_table(status, visible, width, live=True), *more]


def overview(status: StudyStatus) -> str:
    """Returns `12 of 16 trials ended: 8 complete, 4 pruned`, and below it `2 running, 2 waiting; about 3:20 left`."""
    ended = [f"{count} {state}" for state in STATES if state not in OPEN and (count := status.count(state))]
    open_ones = [f"{count} {state}" for state in OPEN if (count := status.count(state))]
    what = f"{status.ended} of {len(status.trials)} trials ended"
    left = f"about {duration(status.seconds_left)} left" if status.seconds_left else ""
    to_come = "; ".join(filter(None, (", ".join(open_ones), left)))
    return "\n".join(filter(None, (f"{what}: {', '.join(ended)}" if ended else what, to_come)))


def outcome(status: StudyStatus, trial: TrialStatus) -> str:
    """Returns what came of a trial, or how far it is."""
    if trial.state == COMPLETE:
        values = status.format_values(trial.values) if trial.values else ""
        return "  ".join(filter(None, (values, trial.note.partition(",")[0])))
    if trial.state == RUNNING:
        return _progress(trial) or "starting"
    if trial.state == STOPPED:
        return ": ".join(filter(None, (_progress(trial), trial.note)))
    lines = trial.note.strip().splitlines()
    if trial.note.startswith("Traceback"):
        return lines[-1]  # Python says last what it was
    return lines[0] if lines else ""


def _progress(trial: TrialStatus) -> str:
    if trial.step is None:
        return ""
    return f"{trial.stage} {trial.step:,}/{trial.steps:,}" if trial.steps else f"{trial.stage} {trial.step:,}"


def settings(trial: TrialStatus) -> str:
    """Returns a trial's values under short names: `projector mlp/gelu, learning_rate 0.001`."""
    return ", ".join(f"{_short(path)} {_value(value)}" for path, value in trial.params.items())


def _head(status: StudyStatus, width: int | None) -> list[Line]:
    lines: list[Line] = [(f"{status.study}  in {status.folder}", "bold")]
    lines += [(text, "") for text in overview(status).splitlines()]
    best = status.best
    if best is not None:
        text = f"best so far  {best.name}  {status.format_values(best.values or ())}"
        # A run of an ablation has its arm in its name already.
        if not best.name.startswith(str(best.params.get("arm", "\0"))):
            text += f"  ({settings(best)})"
        lines.append((text, "green"))
    return [(cut(printable(text, _LONGEST_LINE), width), style) for text, style in lines]


def _table(status: StudyStatus, trials: Sequence[TrialStatus], width: int | None, *, live: bool = False) -> list[Line]:
    wide = not live or width is None or width >= _ROOM_FOR_SETTINGS
    header = ["trial", "state", "progress or outcome", "time", "settings"]
    table = [_cells(status, trial, live=live) for trial in trials]
    kept = [
        column
        for column in range(len(header))
        if any(row[column] for row in table) and (wide or column != len(header) - 1)
    ]
    flexible = (
        kept.index(len(header) - 1) if len(header) - 1 in kept else kept.index(_OUTCOME) if _OUTCOME in kept else 0
    )
    styles = ["dim", *(_STYLES.get(trial.state, "dim") for trial in trials)]
    cells = [[row[column] for column in kept] for row in [header, *table]]
    if live and width is not None:
        return list(zip(cut_rows(cells, flexible=flexible, limit=width), styles, strict=True))
    texts = [kept.index(column) for column in (_OUTCOME, len(header) - 1) if column in kept]
    folded = blocks(cells, flexible=texts, limit=width, header=True)
    return [(line, style) for block, style in zip(folded, styles, strict=True) for line in block]


def _cells(status: StudyStatus, trial: TrialStatus, *, live: bool) -> list[str]:
    text = outcome(status, trial)
    if trial.worker:
        host, _, process = trial.worker.rpartition(":")
        text = f"{text}  on {cut(host, _LONGEST_HOST)}:{process}"
    if live:
        text = cut(text, _LONGEST_OUTCOME)
    time = f"{duration(trial.seconds_left)} left" if trial.seconds_left is not None else ""
    if not time and trial.seconds is not None:
        time = duration(trial.seconds)
    grid = set(trial.params) <= {"arm", "seed"}
    cells = [trial.name, trial.state, text, time, "" if grid else settings(trial)]
    return [printable(cell, _LONGEST_CELL) for cell in cells]


def _short(path: str) -> str:
    *parents, name = path.split(".")
    # Which component a part uses stands at `part.use`: there the part says more than `use`.
    return parents[-1] if name == "use" and parents else name


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _folded(text: str, width: int | None) -> list[str]:
    """Returns a line as several where it does not fit; blanks in a row stay as they are."""
    if width is None or len(text) <= width:
        return [text]
    return wrap(text, width)
