"""The input of a scoring rule, the rule itself, and the sums that rules share."""

from __future__ import annotations

from collections.abc import Sequence

from cobra_kit.interfaces.scoring_rule import Answered, Needs, QuestionScore, Rule, Summary

__all__ = ["Answered", "Needs", "QuestionScore", "Rule", "Summary", "accuracy", "by_group", "mean"]


def accuracy(scores: Sequence[QuestionScore]) -> Summary:
    """Returns the mean score as `accuracy`."""
    return {"accuracy": mean(scores)}


def mean(scores: Sequence[QuestionScore]) -> float:
    """Returns the mean score of at least one question."""
    return sum(score.score for score in scores) / len(scores)


def by_group(scores: Sequence[QuestionScore]) -> dict[str, list[QuestionScore]]:
    """Returns the scores of each group, groups in order of appearance."""
    groups: dict[str, list[QuestionScore]] = {}
    for score in scores:
        groups.setdefault(score.group, []).append(score)
    return groups
