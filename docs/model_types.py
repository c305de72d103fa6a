"""Rewrites the table of model types in the README of cobra_kit_transformer: `python docs/model_types.py [--check]`.

Every causal language model that the installed transformers maps is built as `transformer/hf` builds it, on the meta
device, from its default config; what cannot be one by default is tried again with the settings of `VARIANTS`. With
`--check` nothing is written; the exit status is 1 where the page differs. It takes about half a minute.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "plugins" / "cobra_kit_transformer" / "README.md"
BLOCK = re.compile(r"(<!-- generated: model types -->\n).*?(<!-- end generated -->)", re.DOTALL)

VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {}),
    ("`settings: {sliding_window: null}`", {"settings": {"sliding_window": None}}),
    ("`attention: eager`", {"attention": "eager"}),
    ("`settings: {head_dim: 128}`", {"settings": {"head_dim": 128}}),
    ("`settings: {num_key_value_heads: 8}`", {"settings": {"num_key_value_heads": 8}}),
    (
        "`settings: {rope_parameters: {rope_type: default}}`",
        {"settings": {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}},
    ),
)


def model_types() -> list[str]:
    """Returns what transformers maps to a causal language model."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def outcome(model_type: str) -> tuple[str, str | None]:
    """Returns the settings with which a type agrees with transformers and None, else nothing and why it is refused."""
    reasons = []
    for words, variant in VARIANTS:
        reason = refusal(model_type, variant)
        if reason is None:
            return words, None
        reasons.append(reason)
    return "", reasons[0]


def refusal(model_type: str, variant: dict[str, Any]) -> str | None:
    """Returns why `transformer/hf` refuses a type, or None where it builds."""
    import torch

    from cobra_kit.errors import CobraError
    from cobra_kit_transformer.hf import HfBackbone
    from cobra_kit_transformer.hf_config import HfConfig

    settings = {"model_type": model_type, **variant.get("settings", {})}
    config = HfConfig(**{**variant, "settings": settings}, tokenizer="small", weights="none")
    try:
        with torch.device("meta"):
            HfBackbone(config)
    except CobraError as error:
        return error.message
    return None


def listed() -> dict[str, str]:
    """Returns, per type that the page lists as one that agrees, the settings with which it does."""
    rows = re.findall(r"^\| (as they are|with `[^|]*`) \| ([^|]*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        name: words.removeprefix("with ") if words != "as they are" else ""
        for words, names in rows
        for name in names.split(", ")
    }


def table(types: Iterable[str]) -> str:
    """Returns the outcomes as Markdown, types of one outcome in one row."""
    agree: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for model_type in types:
        words, reason = outcome(model_type)
        if reason is None:
            agree.setdefault(words, []).append(model_type)
        else:
            refused.setdefault(_kind(reason, model_type), []).append(model_type)
    import transformers

    count = sum(map(len, agree.values()))
    total = count + sum(map(len, refused.values()))
    lines = [
        f"transformers {transformers.__version__} has {total} types of causal language models; {count} agree:",
        "",
        "| agree | types |",
        "|---|---|",
        *(f"| {f'with {words}' if words else 'as they are'} | {', '.join(names)} |" for words, names in agree.items()),
        "",
        "| refused, because | types |",
        "|---|---|",
        *(f"| {reason} | {', '.join(names)} |" for reason, names in sorted(refused.items())),
    ]
    return "\n".join(lines)


_KINDS = (
    (
        r"layers of other kinds than full attention",
        "layers of other kinds than full attention (windows, states, chunks)",
    ),
    (r"latent attention", "its keys and values are compressed (latent attention)"),
    (r"encoder of its own", "it has an encoder of its own"),
    (r"config holds others", "its config holds others, as that of several models in one"),
    (r"the last \d+ tokens only", "its attention sees the last tokens only"),
    (r"has no linear head of its own", "it has no linear head of its own"),
    (r"the forward of \w+ takes no", "its forward takes no embeddings, positions or cache"),
    (r"leaves tensors of", "transformers leaves tensors without a value when it fills them"),
    (r"cannot build a config|no small copy of it can be built", "its default config builds no small copy"),
    (r"settings cannot be read|number of attention heads", "its layers have no number of attention heads in common"),
    (r"no copy of it is small enough", "no copy of it is small enough to be tried"),
)


def _kind(reason: str, model_type: str) -> str:
    """Returns a refusal without what differs from type to type."""
    short = next((words for pattern, words in _KINDS if re.search(pattern, reason)), None)
    return short or re.sub(r" \(its decoder fails:.*", "", reason.partition("cannot be a backbone: ")[2])


def main(arguments: list[str]) -> int:
    """Writes or checks the block."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    page = PAGE.read_text(encoding="utf-8")
    new = BLOCK.sub(lambda block: f"{block[1]}{table(model_types())}\n{block[2]}", page)
    if "--check" not in arguments:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        print(f"{PAGE} is not what this code does: python docs/model_types.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
