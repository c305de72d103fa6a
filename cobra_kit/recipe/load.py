"""From a name to a `Recipe`: extends, then the profile, then --set; the result is checked against the schema."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.arguments import text, texts
from cobra_kit.errors import RecipeError
from cobra_kit.formatting import suggest
from cobra_kit.names import name_problem
from cobra_kit.recipe.check import check_structure, format_node
from cobra_kit.recipe.locate import RecipeSource, find_recipe
from cobra_kit.recipe.merge import merge
from cobra_kit.recipe.overrides import apply_overrides
from cobra_kit.recipe.parts import check_parts
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.renamed import with_new_keys
from cobra_kit.recipe.replaced import Replaced, other_data, remark, replaced_settings
from cobra_kit.recipe.schema import Recipe
from cobra_kit.recipe.tree import Node
from cobra_kit.recipe.yaml_reader import parse_yaml

DEFAULT_PROFILE = "laptop"

_EXAMPLE = "cobra-kit recipes show cobra_tiny prints an example"


def load_recipe(
    source: str | Path,
    *,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
) -> Recipe:
    """Returns the recipe of a file or name, everything it extends merged.

    Args:
        source: A path, a packaged name such as `cobra_tiny`, or `plugin/name`.
        profile: Which profile to apply; None: `laptop` if the recipe has profiles.
        overrides: `a.b=c` settings, applied last, all at once.
        registry: Where plugins' recipes come from; None: the installed plugins.

    Raises:
        RecipeError: The recipe is missing or malformed; a `RecipeProblems` if more than one thing is wrong.
    """
    overrides = texts(overrides, "overrides", example="['train.finetune.steps=100']")
    if profile is not None:
        text(profile, "profile")
    file = find_recipe(source, registry=registry)
    tree = _follow_extends(file, registry, ())
    profiles = _profiles(tree)
    chosen = _choose_profile(tree, profiles, profile)
    body = _body(tree, profiles, chosen)
    replaced: list[Replaced] = []
    if chosen is not None and not file.is_builtin:  # the packaged recipes' bodies are of the paper's size on purpose
        replaced = replaced_settings(tree.without("profiles"), profiles[chosen], file.display)
    body = apply_overrides(body, overrides)
    recipe, problems = check_structure(body)
    problems += other_data(tree, replaced, chosen or "")
    for other in profiles:
        if other != chosen:
            problems += _mistakes(_body(tree, profiles, other))
    if problems:
        problems += check_parts(body, registry or default_registry())
        raise_problems(file.display, problems)
    assert recipe is not None
    note = remark(replaced, chosen or "")
    return recipe.located(body, name=file.name, profile=chosen, profiles=tuple(profiles), note=note)


def read_merged(source: RecipeSource, registry: Registry | None = None) -> tuple[Node, tuple[str, ...]]:
    """Returns (tree, profile names) of a recipe with everything it extends, neither checked nor resolved."""
    tree = _follow_extends(source, registry, ())
    return tree.without("profiles"), tuple(_profiles(tree))


def _follow_extends(file: RecipeSource, registry: Registry | None, chain: tuple[RecipeSource, ...]) -> Node:
    """Returns the tree of a file laid over what it extends, profiles merged too."""
    tree = _read(file)
    chain = (*chain, file)
    base = tree.get("extends")
    if base is None or base.value is None:
        return tree.without("extends")
    if not isinstance(base.value, str):
        raise problem(tree, ("extends",), f"expected the name or path of one recipe, found {format_node(base)}")
    try:
        below = find_recipe(base.value, relative_to=file.folder, registry=registry)
    except RecipeError as error:
        raise problem(tree, ("extends",), error.message, error.hint) from error
    identities = [source.identity for source in chain]
    if below.identity in identities:
        cycle = [source.display for source in chain[identities.index(below.identity) :]]
        raise problem(tree, ("extends",), "recipes extend each other in a circle", " -> ".join([*cycle, below.display]))
    return merge(_follow_extends(below, registry, chain), tree.without("extends"))


def _read(file: RecipeSource) -> Node:
    tree = parse_yaml(file.read(), file.display)
    if tree.value is None:
        raise RecipeError("the recipe is empty", where=file.display, hint=_EXAMPLE)
    if not isinstance(tree.value, dict):
        raise RecipeError(
            f"expected keys and values, such as 'title: ...', found {format_node(tree)}", where=str(tree.origin)
        )
    return with_new_keys(tree)


def _profiles(tree: Node) -> dict[str, Node]:
    node = tree.get("profiles")
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise problem(tree, ("profiles",), f"expected one mapping per profile, found {format_node(node)}")
    profiles = {}
    for name, changes in node.value.items():
        if not isinstance(changes.value, dict | None):
            raise problem(tree, ("profiles", name), f"expected what the profile changes, found {format_node(changes)}")
        if (wrong := "begins with a -" if name.startswith("-") else name_problem(name)) is not None:
            raise problem(
                tree, ("profiles", name), f"a profile's name names a folder, and this one {wrong}", "rename the profile"
            )
        for key in ("extends", "profiles"):
            if key in changes.entries():
                raise problem(
                    tree, ("profiles", name, key), f"a profile cannot change {key}", "it belongs to the whole file"
                )
        profiles[name] = Node(changes.entries(), changes.origin)
    return profiles


def _choose_profile(tree: Node, profiles: dict[str, Node], profile: str | None) -> str | None:
    if profile is None:
        if not profiles or DEFAULT_PROFILE in profiles:
            return DEFAULT_PROFILE if profiles else None
        names = ", ".join(profiles)
        raise problem(
            tree, ("profiles",), f"choose a profile: {names}", f"--profile {shlex.quote(next(iter(profiles)))}"
        )
    if profile in profiles:
        return profile
    raise problem(tree, ("profiles",), f"no profile named {profile!r}", suggest(profile, profiles, what="profiles"))


def _body(tree: Node, profiles: dict[str, Node], profile: str | None) -> Node:
    body = tree.without("profiles")
    return body if profile is None else merge(body, profiles[profile])


def _mistakes(body: Node) -> list[RecipeError]:
    """Returns what is wrong in a profile that was not chosen; what it leaves out may be meant to come from --set."""
    return [error for error in check_structure(body)[1] if error.message != "is missing"]
