"""Weights that come with a plugin: its own file into a module, with errors that say what can be done about them."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from cobra_kit.errors import DamagedWeightsError, WeightsError
from cobra_kit.weights.loading import load_into
from cobra_kit.weights.reading import load_metadata, load_tensors

VOCABULARY = "vocabulary"
"""Key in a safetensors header: the digest of the vocabulary that the weights were trained with."""

_AGAIN = "Install the package again, or use weights: none (random)."


def load_packaged(module: nn.Module, file: Path, *, vocabulary: str | None = None) -> None:
    """Loads a file that comes with a plugin into a module, all of it or nothing.

    Args:
        module: The module to fill.
        file: The file, in the plugin's folder.
        vocabulary: The digest of the tokenizer in use (`cobra_kit.text.vocabulary`); None: there is no tokenizer.

    Raises:
        WeightsError: The file is missing, damaged, does not fit, or was trained with another vocabulary.
    """
    if not file.exists():
        raise WeightsError("the weights that come with this plugin are missing", where=str(file), hint=_AGAIN)
    try:
        tensors, trained_with = load_tensors(file), load_metadata(file).get(VOCABULARY)
    except DamagedWeightsError as error:
        raise DamagedWeightsError(error.message, where=error.where, hint=_AGAIN) from error
    # Before the shapes: another tokenizer often has another size too, and the size alone would mislead.
    if vocabulary is not None and trained_with not in (None, vocabulary):
        raise WeightsError(
            "the packaged weights were trained with another vocabulary: their ids stand for other texts",
            where=str(file),
            hint="Use the component's own tokenizer, or weights: none (random) with this one.",
        )
    try:
        load_into(module, tensors, source=str(file))
    except WeightsError as error:
        hint = "The packaged weights fit the default sizes only; with other sizes use weights: none (random)."
        raise WeightsError(error.message, where=error.where, hint=f"{hint}\n{error.hint}") from error
