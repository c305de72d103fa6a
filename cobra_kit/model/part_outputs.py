"""What a part returns, compared on the host with what the layout was made for.

A batch is laid out before any part runs, from the recipe's classes. Whoever replaces a part of a composed model
(`model.projector = other`) may return other tokens; joined to the text they would shift between rows without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from cobra_kit.errors import CobraError, ShapeError
from cobra_kit.interfaces import FusedSequence, TokenShape, VisualTokens

_MISFITS = (TypeError, ValueError, IndexError, KeyError, AttributeError)
"""What a part raises that is handed what it was not made for; torch's own is a plain RuntimeError."""


def run_part(kind: str, module: nn.Module, inputs: str, call: Callable[[], Any]) -> Any:
    """Returns what a part returns; an error of shapes or types in it names the part and what it was given.

    Args:
        kind: Of the part, as a reader knows it: `vision encoder`.
        module: The part.
        inputs: What it was given, in words.
        call: Calls it.

    Raises:
        ShapeError: The part cannot take its inputs.
    """
    try:
        return call()
    except CobraError:
        raise
    except Exception as error:
        # Not what is the machine's: out of memory and a device's own errors have classes of their own.
        if not isinstance(error, _MISFITS) and type(error) is not RuntimeError:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ShapeError(
            f"the {kind} ({type(module).__name__}) cannot take {inputs}: {type(error).__name__}: {reason}",
            hint="The parts of a model fit each other as its recipe composes them; a part that was put in by hand must "
            "keep the contract of its kind (docs/plugins.md).",
        ) from error


def check_tokens(
    kind: str, module: nn.Module, tokens: object, images: int, expected: TokenShape | None, width: int | None = None
) -> VisualTokens:
    """Returns the visual tokens of images of one size, after comparing their sizes with those that were laid out.

    Args:
        kind: Of the part that returned them, in words.
        module: The part.
        tokens: What it returned.
        images: How many images it was given.
        expected: Tokens of each image in the layout; None: nobody laid them out.
        width: Channels that the next part takes; None: any.

    Raises:
        ShapeError: There are more or fewer images, tokens or channels.
    """
    source = f"the {kind} ({type(module).__name__})"
    if not isinstance(tokens, VisualTokens):
        raise ShapeError(
            f"{source} returned {type(tokens).__name__}, not VisualTokens",
            hint="Return cobra_kit.interfaces.VisualTokens(values, shapes).",
        )
    values, counts = tokens.values, {shape.num_tokens for shape in tokens.shapes}
    if values.dim() != 3 or values.shape[0] != images or len(tokens.shapes) != images:
        raise ShapeError(
            f"{source} returned {list(values.shape)} with {len(tokens.shapes)} shapes for {images} images",
            hint="It returns [k n d] and k shapes for k images.",
        )
    if images and values.shape[1] < max(counts):
        raise ShapeError(f"{source} says {max(counts)} tokens for an image, but returned {values.shape[1]}")
    if expected is not None and counts - {expected.num_tokens}:
        raise ShapeError(
            f"{source} returned {', '.join(map(str, sorted(counts)))} tokens for an image, but the batch was laid out "
            f"for {expected.num_tokens}",
            hint="The processor lays out what the recipe's parts announce. Compose a recipe with this part instead of "
            "replacing it in the model, or keep the number of tokens.",
        )
    if width is not None and values.shape[2] != width:
        raise ShapeError(
            f"{source} returned tokens of {values.shape[2]} channels, but the backbone's embeddings have {width}",
            hint="Build it with out_width=model.backbone.hidden_size.",
        )
    return tokens


def check_fused(module: nn.Module, sequence: object, source: Tensor, width: int) -> FusedSequence:
    """Returns what a fusion scheme made, after comparing its size with the layout's.

    Args:
        module: The fusion scheme.
        sequence: What it returned.
        source: `[b s]`, the layout.
        width: Channels of the text embeddings.

    Raises:
        ShapeError: It is of another size.
    """
    expected = [*source.shape, width]
    if not isinstance(sequence, FusedSequence) or list(sequence.embeddings.shape) != expected:
        shape = list(sequence.embeddings.shape) if isinstance(sequence, FusedSequence) else type(sequence).__name__
        raise ShapeError(f"the fusion scheme ({type(module).__name__}) returned {shape}, but the layout is {expected}")
    return sequence


def check_hidden(module: nn.Module, hidden: Tensor, source: Tensor) -> Tensor:
    """Returns a backbone's hidden states `[b s d]`, after comparing their size with the layout's `[b s]`.

    Raises:
        ShapeError: They are of another size.
    """
    if hidden.dim() != 3 or hidden.shape[:2] != source.shape:
        raise ShapeError(
            f"the backbone ({type(module).__name__}) returned hidden states {list(hidden.shape)}, but the layout is "
            f"{list(source.shape)}",
            hint="It returns [b s d], a hidden state for every position.",
        )
    return hidden
