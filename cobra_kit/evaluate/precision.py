"""A trained model at another precision, for its answers alone."""

from __future__ import annotations

from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.decoding import AS_KEPT, Precision
from cobra_kit.model.device import DTYPES
from cobra_kit.model.placement import place
from cobra_kit.model.quantise import quantise_int8_
from cobra_kit.recipe.sections import PrecisionSection


def apply_precision(model: VisionLanguageModel, section: PrecisionSection | None) -> Precision:
    """Gives a model's weights the precision that a recipe asks for, in place, and returns that of its state.

    The vision encoder keeps its own: what is asked is what the language model, its projector and its fusion scheme
    lose. `never_quantise` is honoured, in bfloat16 too.

    Args:
        model: A trained model.
        section: `evaluate.precision`; None changes nothing.
    """
    if section is None:
        return AS_KEPT
    if section.weights == "int8":
        quantise_int8_(model)
    elif section.weights != "trained":
        for kind, part in model.parts().items():
            if kind != "vision_encoder":
                place(part, model.device, DTYPES[section.weights])
    return AS_KEPT if section.state == "kept" else Precision(state=DTYPES[section.state])
