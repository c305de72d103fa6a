"""Several errors of one recipe, reported together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cobra_kit.errors import RecipeError
from cobra_kit.recipe.tree import Node, PathKeys, dotted


class RecipeProblems(RecipeError):
    """More than one error in a recipe; `problems` holds them one by one."""

    def __init__(self, name: str, problems: Sequence[RecipeError]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{len(problems)} errors in {name}", hint="\n".join(one_line(p) for p in problems))


class ProblemAt(RecipeError):
    """An error at a place of a recipe; `order` (source, line) sorts the errors of one recipe."""

    order: tuple[str, int] = ("", 0)


def problem(tree: Node, keys: PathKeys, message: str, hint: str | None = None) -> ProblemAt:
    """Returns an error at a path of a recipe, with the file and line of what stands there."""
    path, origin = dotted(keys), tree.origin_of(keys)
    error = ProblemAt(message, where=f"{origin}: {path}" if path else str(origin), hint=hint)
    error.order = (origin.source, origin.line or 0)
    return error


def raise_problems(name: str, problems: Iterable[RecipeError]) -> None:
    """Raises the errors, the same one once; returns if there are none."""
    unique = sorted(
        {str(p): p for p in problems}.values(), key=lambda p: p.order if isinstance(p, ProblemAt) else ("", 0)
    )
    if len(unique) == 1:
        raise unique[0]
    if unique:
        raise RecipeProblems(name, unique)


def one_line(error: RecipeError) -> str:
    """Returns an error as one line, with the first line of its hint."""
    head = f"{error.where}: {error.message}" if error.where else error.message
    return f"{head} ({error.hint.splitlines()[0].rstrip('.')})" if error.hint else head
