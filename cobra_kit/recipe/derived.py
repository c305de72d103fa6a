"""Sizes that no recipe states because they follow from its parts, and where they are remembered.

Building parts to learn their sizes imports torch, which takes longer than all else that a look at a recipe does. So
sizes are kept in the user's cache, under a key of everything they follow from: each part's component and config, the
sources of its package and of this one, and what is installed. A model is remembered only if every part says that its
config and code alone decide what is built (`Component.sizes_follow_config`). Errors are never remembered.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError, first_line
from cobra_kit.files import is_sealed, read_sealed_json, user_cache, without_seal, write_sealed_json
from cobra_kit.files.caches import forget_oldest
from cobra_kit.hashing import environment_fingerprint, module_sources, source_fingerprint
from cobra_kit.plugin import KINDS
from cobra_kit.recipe.parts import ResolvedPart
from cobra_kit.recipe.resolve import ResolvedRecipe

MOST_MODELS = 1000
"""Models whose sizes are remembered; those that were looked at longest ago go first."""

logger = logging.getLogger("cobra_kit")


@dataclass(frozen=True, slots=True)
class DerivedSizes:
    """The sizes that follow from the parts of one model.

    Args:
        visual_width: Channels of a visual token before the projector.
        encoder_tokens: Tokens of the largest image before the projector.
        image_tokens: Tokens of the largest image after it.
        hidden_size: Width of the backbone.
        parameters: Parameters of the whole model, tied ones counted once.
    """

    visual_width: int
    encoder_tokens: int
    image_tokens: int
    hidden_size: int
    parameters: int


def sizes_key(resolved: ResolvedRecipe) -> str | None:
    """Returns a hash of everything that the sizes of a model follow from, as it is now; imports no part.

    None where that cannot be known: code that is in no file, or in one that cannot be read.
    """
    try:
        parts = {kind: _part_identity(resolved.parts[kind]) for kind in KINDS}
        core = _core_fingerprint()
    except (CobraError, TypeError, ValueError):  # the last two: a config that is no JSON
        return None
    if core is None or any(part["code"] is None for part in parts.values()):
        return None
    identity = {"core": core, "installed": environment_fingerprint(), "parts": parts}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def runs_as_on_disk(resolved: ResolvedRecipe) -> bool:
    """Returns whether the code of all parts, which were imported, is what their files hold now."""
    components = [part.component for part in resolved.parts.values()]
    return all(component.code_fingerprint() == component.sources_fingerprint() for component in components)


def remembered_sizes(key: str) -> DerivedSizes | None:
    """Returns the sizes that were remembered under a key; None where there are none, or they are damaged."""
    try:
        file = _file(key)
        plain = read_sealed_json(file)
    except (OSError, CobraError):
        return None
    names = {field.name for field in fields(DerivedSizes)}
    values = without_seal(plain)
    if not is_sealed(plain) or values.keys() != names or not all(type(value) is int for value in values.values()):
        return None
    with suppress(OSError):
        os.utime(file)  # in use: not among the oldest
    return DerivedSizes(**values)


def remember_sizes(key: str, sizes: DerivedSizes) -> None:
    """Keeps the sizes of a model for the next look at it; warns where the cache cannot be written."""
    try:
        file = _file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_sealed_json(file, asdict(sizes))
        forget_oldest(file.parent, MOST_MODELS)
    except (OSError, CobraError) as error:
        logger.warning("derived sizes are not kept, so the next look builds the parts again: %s", first_line(error))


def _file(key: str) -> Path:
    return user_cache() / "derived-sizes" / f"{key}.json"


def _part_identity(part: ResolvedPart) -> Mapping[str, Any]:
    component = part.component
    return {
        **part.plain(),
        "use": [component.qualified, component.distribution, component.spec.target, component.spec.config],
        "code": component.sources_fingerprint(),
    }


@cache
def _core_fingerprint() -> str | None:
    places = module_sources("cobra_kit")
    return source_fingerprint(places) if places else None
