"""Checkpoints of others, in and out: the authors' own, Prismatic's and LLaVA's projectors, Hugging Face folders.

    export_model(model, format="huggingface", out="exported")
    import_checkpoint("cobra+3b", recipe="cobra_3b", profile="paper", out="imported")

Importing this package imports no torch; `FORMATS` lists what is read and written.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cobra_kit.exchange.formats import FORMATS, Format

if TYPE_CHECKING:
    from cobra_kit.exchange.reading import import_checkpoint
    from cobra_kit.exchange.writing import export_model

_HOMES = {"export_model": "cobra_kit.exchange.writing", "import_checkpoint": "cobra_kit.exchange.reading"}

__all__ = ["FORMATS", "Format", "export_model", "import_checkpoint"]


def __getattr__(name: str) -> Any:
    """Returns a public function, importing its module (and torch) on first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cobra_kit.exchange' has no attribute {name!r}")
