"""Tensors into a module: all of them or none, and one message for everything that does not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from cobra_kit.arguments import instance
from cobra_kit.errors import WeightsError
from cobra_kit.weights.checks import check_tensors
from cobra_kit.weights.listing import listed


def load_into(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    prefix: str = "",
    allow_missing: Sequence[str] = (),
    allow_extra: Sequence[str] = (),
) -> None:
    """Copies tensors into the parameters and persistent buffers of `module`, all of them or none.

    Values are converted to the module's dtypes. Of tied parameters one name is enough. What a trainer puts before
    every name (`module.`, `state_dict.model.`) is taken off, where all names begin with it and none fits with it.

    Args:
        module: The module to fill; its tensors are allocated already.
        tensors: Tensors by name, as `load_tensors` returns them, in the same shape as the module's.
        source: Where they come from, for messages.
        prefix: Only names that begin with it are used, without it; the others belong to somebody else.
        allow_missing: Patterns (`fnmatch`) of module names that the checkpoint need not have; they keep their values.
        allow_extra: Patterns of checkpoint names (after the prefix) that are left out.

    Raises:
        WeightsError: Tensors are missing, extra, of another shape or number type; one message names them all.
    """
    instance(module, nn.Module, "module")
    check_tensors(tensors, "tensors")
    given = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if prefix and not given:
        hint = f"It has {listed(sorted(tensors))}."
        raise WeightsError(f"no tensor's name begins with {prefix!r}", where=source, hint=hint)
    wanted = {n: t for n, t in module.state_dict(keep_vars=True).items() if isinstance(t, Tensor)}
    given = _unwrapped(given, wanted)
    extra = sorted(name for name in given if name not in wanted and not _any_match(name, allow_extra))
    missing = [name for name in _missing(wanted, given) if not _any_match(name, allow_missing)]
    pairs = [(name, wanted[name], given[name]) for name in wanted if name in given]
    problems = [
        *_problem("missing", missing),
        *_problem("extra", extra),
        *_problem("of another shape", list(_misshaped(pairs))),
        *_problem("of another number type", list(_mistyped(pairs))),
        *_problem("tied in the model but not in the checkpoint", list(_untied(pairs))),
    ]
    if problems:
        fits = len(pairs)
        raise WeightsError(
            f"the checkpoint does not fit {type(module).__name__} ({fits} of {len(wanted)} names found)",
            where=source,
            hint="\n".join([*problems, "Check that the config describes the model that the checkpoint was made from."]),
        )
    if any(tensor.is_meta for _, tensor, _ in pairs):
        raise WeightsError("the module is on the meta device", where=source, hint="Allocate it first: to_empty.")
    with torch.no_grad():
        for _, target, value in pairs:
            target.copy_(value)


def _unwrapped(given: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Returns the tensors without what stands before every name, where they are the wanted ones without it only."""
    names = list(given)
    while names and not any(name in wanted for name in names):
        first, dot, _ = names[0].partition(".")
        if not dot or not all(name.startswith(first + dot) for name in names):
            return dict(given)
        names = [name[len(first) + 1 :] for name in names]
    return dict(zip(names, given.values(), strict=True)) if names else dict(given)


def _missing(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Returns wanted names that are not given, neither themselves nor under a tied name."""
    filled = {id(tensor) for name, tensor in wanted.items() if name in given}
    return [name for name, tensor in wanted.items() if name not in given and id(tensor) not in filled]


_Pairs = Sequence[tuple[str, Tensor, Tensor]]


def _misshaped(pairs: _Pairs) -> Iterator[str]:
    for name, target, value in pairs:
        if target.shape != value.shape:
            yield f"{name} is {list(value.shape)} in the checkpoint, {list(target.shape)} in the model"


def _mistyped(pairs: _Pairs) -> Iterator[str]:
    """Yields names whose conversion would change the meaning: integers (quantised weights, ids) against reals."""
    for name, target, value in pairs:
        if target.is_floating_point() != value.is_floating_point() or target.is_complex() != value.is_complex():
            yield f"{name} is {value.dtype} in the checkpoint, {target.dtype} in the model"


def _untied(pairs: _Pairs) -> Iterator[str]:
    """Yields names that are one tensor in the model and differ in the checkpoint."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, target, value in pairs:
        other, seen = first.setdefault(id(target), (name, value))
        if seen is not value and seen.shape == value.shape and not torch.equal(seen, value):
            yield f"{other} and {name}"


def _any_match(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _problem(what: str, names: Sequence[str]) -> list[str]:
    return [f"{len(names)} {what}: {listed(names, '; ' if ' ' in ''.join(names) else ', ')}"] if names else []
