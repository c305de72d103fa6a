"""The rules by name; plugins declare them, and nothing is imported before a rule is asked for."""

from __future__ import annotations

from cobra_kit._plugins import Extension, default_registry
from cobra_kit.arguments import text
from cobra_kit.errors import CobraError
from cobra_kit.formatting import did_you_mean, nearest
from cobra_kit.interfaces.scoring_rule import Rule


def rules() -> tuple[Rule, ...]:
    """Returns all rules, plugin by plugin."""
    return tuple(extension.load_rule() for extension in _declared())


def rule_names() -> tuple[str, ...]:
    """Returns the names of all rules."""
    return tuple(extension.spec.name for extension in _declared())


def get_rule(name: str) -> Rule:
    """Returns the rule called `name`, such as `vqav2/official`.

    Raises:
        CobraError: If there is none; it names the nearest.
        PluginError: Its plugin cannot be loaded, or two plugins have a rule of that name.
    """
    text(name, "the name of a rule")
    if any(name in rule.names for rule in _declared()):
        return default_registry().rule(name).load_rule()
    known = rule_names()
    same = [other for other in known if other.split("/")[0] == name.split("/")[0]]
    hint = did_you_mean(nearest(name, known, cutoff=0.5) or same) or _listed(known)
    raise CobraError(f"no scoring rule named {name!r}", hint=hint)


def _listed(known: tuple[str, ...]) -> str:
    return f"known rules: {', '.join(known)}" if known else "No plugin with rules is loaded; see `plugins list`."


def _declared() -> list[Extension]:
    return [rule for rule in default_registry().extensions("scoring_rule") if rule.spec.unfinished is None]
