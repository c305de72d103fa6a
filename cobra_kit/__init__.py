"""cobra-kit: compare the parts of state-space multimodal language models, fairly, on any machine.

Importing this package imports no torch; the public names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cobra_kit import _moved

if TYPE_CHECKING:
    from cobra_kit.errors import CobraError
    from cobra_kit.model import VisionLanguageModel, compose
    from cobra_kit.plugin import hookimpl
    from cobra_kit.recipe import Recipe, load_recipe
    from cobra_kit.study import load, run

__version__ = "0.1.0"

_HOMES = {
    "CobraError": "cobra_kit.errors",
    "Recipe": "cobra_kit.recipe",
    "VisionLanguageModel": "cobra_kit.model",
    "compose": "cobra_kit.model",
    "hookimpl": "cobra_kit.plugin",
    "load": "cobra_kit.study",
    "load_recipe": "cobra_kit.recipe",
    "run": "cobra_kit.study",
}

__all__ = [
    "CobraError",
    "Recipe",
    "VisionLanguageModel",
    "__version__",
    "compose",
    "hookimpl",
    "load",
    "load_recipe",
    "run",
]

_moved.install()


def __getattr__(name: str) -> Any:
    """Returns a public name, importing its module on first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    return _moved.moved_name(__name__, name)


def __dir__() -> list[str]:
    return sorted(__all__)
