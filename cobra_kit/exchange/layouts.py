"""The names that each form of checkpoint has for its tensors.

A layout says once, for reading and writing, under which name a file has a tensor of a part. So what one writes the
other reads. The names it starts from are the published ones (`Component.published_names`).

Sources: Cobra and Prismatic: PAPER.md 2.2 and cobra/models/vlms/cobra.py at 97f91e1; LLaVA: llava_trainer.py of
haotian-liu/LLaVA; MobileVLM V2: mobilevlm/model/vision_projector.py at eb0039a.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from cobra_kit.plugin import Kind

Names = Mapping[str, str]
"""Published name -> name in the file."""


@dataclass(frozen=True, slots=True)
class CheckpointLayout:
    """The tensors of one form of checkpoint.

    Args:
        parts: Per kind of part that it can hold: published names -> names in the file.
        begins: Beginnings of its names by which a file of this form is known.
        tidied: A file's name -> the name as this layout has it; None: the tensor is not of this layout's parts.
        optional: Parts that a file may lack as a whole, by the beginning of their names.
        also_begins: Further beginnings of its names, which other forms have too.
    """

    parts: Mapping[Kind, Callable[[Collection[str]], Names]]
    begins: tuple[str, ...]
    tidied: Callable[[str], str | None]
    optional: Mapping[Kind, str] = field(default_factory=dict)
    also_begins: tuple[str, ...] = ()


def _under(prefix: str) -> Callable[[Collection[str]], Names]:
    def names(published: Collection[str]) -> Names:
        return {name: f"{prefix}{name}" for name in published}

    return names


def _llava_names(published: Collection[str]) -> Names:
    """Returns LLaVA's names of `projector.*`, or MobileVLM V2's where there is a positional convolution."""
    convolution = any(name.startswith("projector.4.peg.") for name in published)
    rules = [(r"projector\.4\.peg\.", "peg.peg."), (r"projector\.", "mlp.mlp.")] if convolution else []
    return {name: f"model.mm_projector.{_renamed(name, [*rules, ('projector[.]', '')])}" for name in published}


def _renamed(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        renamed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return renamed
    return name


AUTHORS_PARTS = ("projector.", "llm_backbone.", "vision_backbone.")
"""Beginnings of the authors' names, in the model itself; their files put `model.` before them."""


def _authors_tidied(name: str) -> str:
    return f"model.{name}" if name.startswith(AUTHORS_PARTS) else name


def _projector_only(name: str) -> str | None:
    name = _authors_tidied(name)
    return None if name.startswith(("model.llm_backbone.", "model.vision_backbone.")) else name


def _llava_tidied(name: str) -> str | None:
    # Some savers leave `model.` out, others put a wrapper's name before it; a whole model has other tensors too.
    _, prefix, rest = name.rpartition("mm_projector.")
    return f"model.{prefix}{rest}" if prefix else None


COBRA = CheckpointLayout(
    parts={"projector": _under("model.projector."), "backbone": _under("model.llm_backbone.llm.")},
    begins=("model.llm_backbone.llm.", "llm_backbone.llm."),
    tidied=_authors_tidied,
    optional={"backbone": "model.llm_backbone."},  # the align stage trains, and stores, the projector alone
    also_begins=("model.projector.", "projector.projector."),
)
PRISMATIC = CheckpointLayout(
    parts={"projector": _under("model.projector.")},
    begins=("model.projector.", "projector.projector."),
    tidied=_projector_only,
)
LLAVA = CheckpointLayout(
    parts={"projector": _llava_names},
    begins=("model.mm_projector.", "mm_projector.", "base_model.model.model.mm_projector."),
    tidied=_llava_tidied,
)
PROJECTOR = CheckpointLayout(parts={"projector": _under("")}, begins=("projector.",), tidied=lambda name: name)
