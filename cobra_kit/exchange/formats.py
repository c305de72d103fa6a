"""The forms of checkpoint that are read and written, by name. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cobra_kit.errors import CobraError


@dataclass(frozen=True, slots=True)
class Format:
    """One form of checkpoint.

    Args:
        name: As `--format` takes it.
        reads: What `import` makes of it, or None where there is nothing to import.
        writes: What `export` writes into its folder, or None.
        layout: `"module:name"` of the `CheckpointLayout` that names its tensors; None for a form that
            is a whole model of ours.
        writer: `"module:function"` that writes it: `(model, folder) -> notes`.
    """

    name: str
    reads: str | None
    writes: str | None
    layout: str | None
    writer: str


_ALL = (
    Format(
        "cobra",
        reads="the authors' .pt: projector and language model (and config.json)",
        writes="checkpoints/latest-checkpoint.pt and config.json, as the authors",
        layout="cobra_kit.exchange.layouts:COBRA",
        writer="cobra_kit.exchange.writing:write_cobra",
    ),
    Format(
        "prismatic",
        reads="the projector in a checkpoint of Prismatic, or of Cobra",
        writes="the projector in their form, as an align stage leaves it",
        layout="cobra_kit.exchange.layouts:PRISMATIC",
        writer="cobra_kit.exchange.writing:write_prismatic",
    ),
    Format(
        "llava",
        reads="the projector of LLaVA or MobileVLM V2, alone or in the model",
        writes="mm_projector.bin, names as in LLaVA or MobileVLM V2",
        layout="cobra_kit.exchange.layouts:LLAVA",
        writer="cobra_kit.exchange.writing:write_llava",
    ),
    Format(
        "projector",
        reads="projector.safetensors",
        writes="projector.safetensors, names as in Cobra",
        layout="cobra_kit.exchange.layouts:PROJECTOR",
        writer="cobra_kit.exchange.writing:write_projector",
    ),
    Format(
        "huggingface",
        reads=None,
        writes="the whole model for AutoModel; cobra_kit.load opens it too",
        layout=None,
        writer="cobra_kit.exchange.huggingface.folder:write_huggingface",
    ),
)

FORMATS: Mapping[str, Format] = {each.name: each for each in _ALL}


def find_format(name: str) -> Format:
    """Returns the format of a name.

    Raises:
        CobraError: There is none; the message lists them.
    """
    if not isinstance(name, str) or name not in FORMATS:
        raise CobraError(f"no format named {name!r}", hint=f"Formats: {', '.join(FORMATS)}.")
    return FORMATS[name]


def referenced(reference: str) -> Any:
    """Returns the object behind `"module:name"`, imported now."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def writer_of(form: Format) -> Callable[..., list[str]]:
    """Returns the function that writes a format."""
    writer: Callable[..., list[str]] = referenced(form.writer)
    return writer
