"""One word per thing: names that say nothing, and names that the project gave up, stay out of the code.

Only identifiers count, strings and comments do not: English has these words, too.
"""

from __future__ import annotations

import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SAYING_NOTHING = {"one", "found", "said"}
"""A variable is called after what it holds: `trial`, `row`, `config`, `arm`, `answer`."""

PUBLIC = {("cobra_kit/plugin.py", "found"), ("cobra_kit/cli/doctor_text.py", "found")}
"""`Diagnosis.found` is a field that plugins of v1 set by its name."""

RETIRED = {
    "Album": "ReportImages",
    "Beginning": "StagePrefix",
    "Crew": "WorkerOptions or DrawingPool",
    "Disagreement": "DisagreementExample",
    "Dispute": "DisagreementExample",
    "HeldTrial": "LeasedTrial",
    "LocalTime": "RuntimeEstimate",
    "Losses": "WorkerFailures",
    "MOST_LOSSES": "MAX_RETRIES",
    "Mark": "LeaseRecord",
    "Owner": "WorkerId",
    "Pace": "TrainIntervals",
    "Reach": "ScoreBounds",
    "Shared": "StudyCache",
    "SilenceWatch": "StaleTrialDetector",
    "Speed": "Throughput or MachineSpeed",
    "Tally": "StageProgress",
    "Terms": "HeartbeatConfig",
    "Things": "SceneInstances",
    "TrialBoard": "TrialQueue",
    "TrialJudge": "PruningCallback",
    "TrialKind": "TrialSource",
    "how_far": "progress_of",
    "knowingly": "suppress_experimental_warnings",
    "put_back": "requeue_stale",
    "take_precision": "apply_precision",
}
"""What each name has become. `Point`, now `TrialSpec`, is not among them: in a plot it is the right word."""


KEYWORDS = {
    ("cobra_kit/interfaces/scoring_rule.py", "picture"),
    ("cobra_kit/interfaces/scoring_rule.py", "picture_size"),
    ("cobra_kit/evaluate/predict.py", "picture"),
    ("cobra_kit/statistics/power.py", "pictures"),
    ("cobra_kit/statistics/power.py", "questions_per_picture"),
}
"""Former names of arguments, which `renamed_arguments` takes as keywords."""

FORMER_NAMES = {("cobra_kit/data/rows.py", "picture"), ("cobra_kit/data/rows.py", "picture_ids")}
"""What sources still answer to, with a warning."""


def is_retired(name: str) -> bool:
    """Whether a name speaks of pictures: the field's word is image."""
    return "picture" in name.lower()


def identifiers(text: str) -> list[tuple[int, str]]:
    """Returns the identifiers of a module's text, with their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.NAME]


def violations() -> dict[str, list[str]]:
    """Returns `path:line: name` of every such identifier, by room or plugin."""
    by_room: dict[str, list[str]] = {}
    for base in (ROOT / "cobra_kit", ROOT / "plugins"):
        for path in sorted(base.rglob("*.py")):
            room = path.relative_to(base).parts[0].removesuffix(".py")
            for line, name in identifiers(path.read_text(encoding="utf-8")):
                if (str(path.relative_to(ROOT)), name) in PUBLIC:
                    continue
                if is_retired(name) and (str(path.relative_to(ROOT)), name) not in FORMER_NAMES | KEYWORDS:
                    by_room.setdefault(room, []).append(f"{path.relative_to(ROOT)}:{line}: {name} (now image)")
                if name in SAYING_NOTHING or name in RETIRED:
                    use = f" (now {RETIRED[name]})" if name in RETIRED else ""
                    by_room.setdefault(room, []).append(f"{path.relative_to(ROOT)}:{line}: {name}{use}")
    return by_room


def test_no_name_says_nothing_or_was_given_up() -> None:
    remaining = violations()
    if remaining:
        pytest.fail("\n".join(line for room in remaining.values() for line in room), pytrace=False)


def test_strings_and_comments_are_free() -> None:
    assert identifiers('one = f"found {said}"  # one\n"""found"""\n')[0] == (1, "one")
    assert [name for _, name in identifiers('x = "one"  # found\n"""said"""\n')] == ["x"]
