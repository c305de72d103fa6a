"""The benchmarks that read finished studies: which stars are denied, and what pairing by seed is worth."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import fake_study
import miniature
import numpy as np
import pytest

from cobra_kit.errors import CobraError
from cobra_kit.report import ScoreDifference, table_to_json
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.stored_study import read_study

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TEXT = f"{miniature.ABLATION}  seeds: [1, 2, 3]\n"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def whole(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        return write(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    """A copy of a finished study, to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def write(folder: Path, *overrides: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = fake_study.write_study(folder, TEXT, overrides=overrides)
    stored = read_study(path)
    stored.folder.table_json.write_text(table_to_json(study_table(stored, stored.folder)))
    return path


def change(value: float, low: float, high: float, p_holm: float = 0.01) -> ScoreDifference:
    return ScoreDifference(value, low, high, p_holm, p_holm, 4.0, 5)


STAR = change(8, 3, 13)


@pytest.mark.parametrize(
    ("star", "other", "answer"),
    [
        (STAR, change(5, 1, 9), "confirmed"),
        (STAR, change(30, 25, 35), "confirmed"),  # far larger, and the same direction
        (STAR, change(1, -4, 6), "not denied"),  # its interval leaves the estimate out, and chance may do that
        (STAR, change(5, 1, 9, p_holm=0.3), "not denied"),
        (STAR, change(-5, -9, -1), "turned"),
        (STAR, change(-5, -9, -1, p_holm=0.3), "turned"),
        (STAR, change(0, -2, 2), "apart"),
        (STAR, change(0.8, -5, 6), "not denied"),  # 7.2 apart, and 5 and 5.2 together reach 7.21
        (STAR, change(0.7, -5, 5.8), "apart"),
        (change(-8, -13, -3), change(0, -2, 2), "apart"),
        (change(-8, -13, -3), change(5, 1, 9), "turned"),
        (change(-8, -13, -3), change(-3, -9, 3), "not denied"),
    ],
)
def test_what_another_study_says_of_a_star(star: ScoreDifference, other: ScoreDifference, answer: str) -> None:
    import stability

    assert stability.is_star(star)
    assert stability.answer_to(star, other) == answer


def test_studies_that_agree_end_with_0(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import stability

    other = write(tmp_path / "other", "ablation.seeds=[6,7,8]")
    monkeypatch.setattr(sys, "argv", ["stability.py", str(study), str(other)])
    assert stability.main() == 0
    printed = capsys.readouterr().out
    assert f"[1] {study}: seeds 1, 2, 3; " in printed
    assert f"[2] {other}: seeds 6, 7, 8; " in printed
    assert "linear presence" in printed
    assert "0 denials" in printed


def test_a_denied_star_ends_with_1(
    study: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import stability

    judged = stability.read_judged([study, whole])
    changes = {study: STAR, whole: change(-5, -9, -1)}
    by_path = {each.study.path: dict.fromkeys(each.differences, changes[each.study.path]) for each in judged}
    monkeypatch.setattr(stability.Judged, "differences", property(lambda self: by_path[self.study.path]))
    monkeypatch.setattr(sys, "argv", ["stability.py", str(study), str(whole)])
    assert stability.main() == 1
    printed = capsys.readouterr().out
    assert f"linear presence: star of {study}; {whole}: turned (outside)" in printed


def test_strict_takes_an_interval_without_the_estimate_as_a_denial() -> None:
    import stability

    reply = stability.Reply("a", "presence", "x", "y", "not denied", outside=True)
    assert reply.denies(strict=True)
    assert not reply.denies()


def test_studies_that_cannot_be_compared(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import stability

    other = write(tmp_path / "other", "train.finetune.steps=7")
    with pytest.raises(CobraError, match=r"in more than its seeds: train\.finetune\.steps"):
        stability.read_judged([study, other])
    monkeypatch.setattr(sys, "argv", ["stability.py", str(study)])
    assert stability.main() == 2
    assert "one study is nothing to compare" in capsys.readouterr().err
    few = write(tmp_path / "few", "ablation.seeds=[1,2]")
    with pytest.raises(CobraError, match="too few seeds") as error:
        stability.read_judged([few, few])
    assert "--set 'ablation.seeds=[1,2,3]'" in str(error.value)
    shutil.rmtree(study / "runs" / "mlp-s2")
    with pytest.raises(CobraError, match="the study is not finished: mlp-s2"):
        stability.read_judged([study, study])


def test_what_pairing_removes_of_the_variance() -> None:
    import common_random_numbers as benchmark

    shared = benchmark.removed("x", [11.0, 14, 9, 16], [1.0, 4, -1, 6])
    assert shared is not None
    assert shared.ratio == 0
    assert shared.interval == (0, 0)
    against = benchmark.removed("x", [1.0, 2, 3], [3.0, 2, 1])
    assert against is not None
    assert against.ratio == 2
    assert against.apart == pytest.approx(np.var([1, 2, 3], ddof=1) * 2)
    assert benchmark.removed("x", [1.0, 1, 1], [3.0, 3, 3]) is None


def test_its_intervals_hold_the_truth() -> None:
    """2 x 500 studies of five seeds and six benchmarks, whose arms share 40 % of their variance."""
    import common_random_numbers as benchmark

    rng, single, whole = np.random.default_rng(0), 0, 0
    for _ in range(500):
        rows = []
        for deviation in (7, 2, 5, 7, 5, 1):
            both = rng.multivariate_normal([0, 0], deviation**2 * np.array([[1, 0.4], [0.4, 1]]), 5)
            rows.append([benchmark.removed("x", both[:, 0], both[:, 1])])
        low, high = rows[0][0].interval
        single += low <= 0.6 <= high
        low, high = benchmark.together("all", rows).interval
        whole += low <= 0.6 <= high
    assert 460 <= single <= 490
    assert 460 <= whole <= 495


def test_it_reads_a_study(whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The made-up answers are the same in all seeds, so nothing can be said of their variance."""
    import common_random_numbers as benchmark

    stored = read_study(whole)
    scores = benchmark.seed_scores(stored)
    table = study_table(stored, stored.folder)
    for row in table.rows:
        for arm, score in row.scores.items():
            assert np.mean(scores[row.benchmark][arm]) == pytest.approx(score.value)
    monkeypatch.setattr(sys, "argv", ["common_random_numbers.py", str(whole)])
    assert benchmark.main() == 2
    assert "nothing changes between seeds" in capsys.readouterr().err
    scattered = {name: {"mlp": [1.0, 2, 3], "linear": [2.0, 3, 3.5]} for name in ("presence", "boxes")}
    monkeypatch.setattr(benchmark, "seed_scores", lambda study: scattered)
    assert benchmark.main() == 0
    printed = capsys.readouterr().out
    assert "linear presence" in printed
    assert "pairing by seed removes 95 % of the variance" in printed


def test_it_refuses_an_unfinished_study_and_too_few_seeds(study: Path, tmp_path: Path) -> None:
    import common_random_numbers as benchmark

    shutil.rmtree(study / "runs" / "mlp-s2")
    with pytest.raises(CobraError, match="the study is not finished: mlp-s2"):
        benchmark.seed_scores(read_study(study))
    few = write(tmp_path / "few", "ablation.seeds=[1,2]")
    with pytest.raises(CobraError, match="too few seeds for a variance"):
        benchmark.seed_scores(read_study(few))
