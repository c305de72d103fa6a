from __future__ import annotations

import itertools
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import CobraError
from cobra_kit.statistics import QuestionScore, align, holm, mcnemar


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_mcnemar_equals_exact_counting(first: int, second: int, agreed: int) -> None:
    a = [1] * first + [0] * second + [1] * agreed + [0]
    b = [0] * first + [1] * second + [1] * agreed + [0]
    n = first + second
    tail = sum(comb(n, k) for k in range(min(first, second) + 1))
    result = mcnemar(a, b)
    assert (result.only_first, result.only_second) == (first, second)
    assert result.p_value == pytest.approx(min(1.0, 2 * tail / 2**n))


def test_mcnemar_on_a_textbook_size_and_on_a_large_one() -> None:
    assert mcnemar([1] * 10 + [0] * 2, [0] * 10 + [1] * 2).p_value == pytest.approx(0.03857421875)
    large = mcnemar([1] * 50_500 + [0] * 49_500, [0] * 50_500 + [1] * 49_500)
    assert large.p_value == pytest.approx(0.00158, rel=0.02)  # z = 999 / sqrt(100000), two-sided


def test_mcnemar_refuses_scores_in_between_and_unequal_lists() -> None:
    with pytest.raises(CobraError, match=r"needs scores of 0 or 1, got 0\.3\n.*bootstrap_difference"):
        mcnemar([0.3, 1], [1, 1])
    with pytest.raises(CobraError, match="equally long lists"):
        mcnemar([1, 0], [1])
    with pytest.raises(CobraError, match="no questions"):
        mcnemar([], [])


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_equals_the_closed_test_of_bonferroni(values: list[float]) -> None:
    """Holm is the closure of Bonferroni: the largest corrected p over all sets that hold the hypothesis."""
    indices = range(len(values))
    sets = [chosen for size in indices for chosen in itertools.combinations(indices, size + 1)]
    expected = [
        max(min(1.0, len(chosen) * min(values[k] for k in chosen)) for chosen in sets if index in chosen)
        for index in indices
    ]
    assert holm(values) == pytest.approx(expected)


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(CobraError, match=r"between 0 and 1, got 1\.2"):
        holm([0.1, 1.2])


def question(name: str, score: float, image: str = "p", group: str = "") -> QuestionScore:
    return QuestionScore(name, image, score, "x", "y", group)


def test_runs_are_lined_up_on_the_question() -> None:
    first = [question("a", 1.0, "p1"), question("b", 0.0, "p2"), question("c", 0.5, "p1")]
    second = [question("c", 0.1, "p1"), question("a", 0.2, "p1"), question("b", 0.3, "p2")]
    aligned = align([first, second])
    assert aligned.question_ids == ("a", "b", "c")
    assert aligned.scores.tolist() == [[1.0, 0.0, 0.5], [0.2, 0.3, 0.1]]
    assert aligned.clusters.tolist() == [0, 1, 0]


def test_runs_that_cannot_be_compared_are_refused() -> None:
    names = ["mlp", "ldpv2"]
    with pytest.raises(CobraError, match="no scored questions to compare"):
        align([])
    with pytest.raises(CobraError, match="mlp scores question 'a' twice"):
        align([[question("a", 1), question("a", 1)]], names[:1])
    with pytest.raises(CobraError, match="1 only in mlp, 0 only in ldpv2, for example 'b'"):
        align([[question("a", 1), question("b", 1)], [question("a", 1)]], names)
    with pytest.raises(CobraError, match="question 'a' is about 'p' in mlp and about 'q' in ldpv2"):
        align([[question("a", 1)], [question("a", 1, "q")]], names)
