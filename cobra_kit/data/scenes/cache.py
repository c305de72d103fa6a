"""Where generated worlds are kept."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from cobra_kit.data.scenes.generation import identity
from cobra_kit.data.scenes.params import SceneParams


def user_cache() -> Path:
    """Returns `$COBRA_KIT_CACHE`, else `$XDG_CACHE_HOME/cobra-kit`, else `~/.cache/cobra-kit`."""
    if chosen := os.environ.get("COBRA_KIT_CACHE"):
        return Path(chosen).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "cobra-kit"
    return Path.home() / ".cache" / "cobra-kit"


def cache_key(params: SceneParams) -> str:
    """Returns 16 hex digits of parameters, generator, Pillow and FreeType versions."""
    text = json.dumps(identity(params), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
