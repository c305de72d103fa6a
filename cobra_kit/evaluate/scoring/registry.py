"""The rules by name."""

from __future__ import annotations

from cobra_kit._plugins import default_registry
from cobra_kit.arguments import text
from cobra_kit.errors import CobraError
from cobra_kit.evaluate.scoring import gqa, pope, refcoco, textvqa, vqav2, vsr
from cobra_kit.evaluate.scoring.answered import Rule
from cobra_kit.formatting import did_you_mean, nearest

_RULES: dict[str, Rule] = {
    rule.name: rule for module in (vqav2, textvqa, pope, vsr, refcoco, gqa) for rule in module.RULES
}


def rules() -> tuple[Rule, ...]:
    """Returns all rules, benchmark by benchmark."""
    return tuple(_RULES.values())


def rule_names() -> tuple[str, ...]:
    """Returns the names of all rules."""
    return tuple(_RULES)


def get_rule(name: str) -> Rule:
    """Returns the rule called `name`, such as `vqav2/official`.

    Raises:
        CobraError: If there is none; it names the nearest.
        PluginError: It is a plugin's, and cannot be loaded.
    """
    if text(name, "the name of a rule") in _RULES:
        return _RULES[name]
    registry = default_registry()
    if any(name in rule.names for rule in registry.extensions("scoring_rule")):
        return registry.rule(name).load_rule()
    benchmark = name.split("/")[0]
    same = [known for known in _RULES if known.split("/")[0] == benchmark]
    hint = did_you_mean(nearest(name, _RULES, cutoff=0.5) or same) or f"known rules: {', '.join(_RULES)}"
    raise CobraError(f"no scoring rule named {name!r}", hint=hint)
