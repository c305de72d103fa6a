"""Under which name a generated world is kept."""

from __future__ import annotations

import hashlib
import json

from cobra_kit_scenes.generation import identity
from cobra_kit_scenes.params import SceneParams


def cache_key(params: SceneParams) -> str:
    """Returns 16 hex digits of parameters, generator, Pillow and FreeType versions."""
    text = json.dumps(identity(params), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
