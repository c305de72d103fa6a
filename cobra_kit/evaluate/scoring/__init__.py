"""One file per benchmark's scoring rules, and the table of rules by name.

    rule = get_rule("pope/first-token")
    scores = rule.score(answered)        # one QuestionScore per question
    rule.summary(scores)                 # {"accuracy": ..., "f1": ..., ...}

The same answers score differently under different evaluators, so every number carries its rule's name. A rule
scores questions one by one, which lets statistics pair two models' answers.
"""

from __future__ import annotations

from cobra_kit.evaluate.scoring.answered import Answered, Rule
from cobra_kit.evaluate.scoring.registry import get_rule, rule_names, rules
from cobra_kit.statistics.scores import QuestionScore

__all__ = ["Answered", "QuestionScore", "Rule", "get_rule", "rule_names", "rules"]
