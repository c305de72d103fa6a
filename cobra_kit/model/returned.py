"""Checks of what a part gave back, against its contract on the host: what would fail far away in our code fails here.

A forward that forgets its `return` would otherwise end as an AttributeError in a line that its author never wrote.
Types and shapes only, nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from cobra_kit._plugins import name_of, place_of
from cobra_kit.errors import PartError, kind_of
from cobra_kit.interfaces import TokenShape, VisualTokens

Value = TypeVar("Value")


def expect(value: object, wanted: type[Value], method: Callable[..., object], title: str) -> Value:
    """Returns a value of the type that a method's contract names.

    Args:
        value: What the method gave back.
        wanted: The type that the contract names.
        method: What was called; its file and line go into the error.
        title: The component: `projector 'mlp/gelu' (cobra-kit 0.1.0)`.

    Raises:
        PartError: It is of another type.
    """
    if isinstance(value, wanted):
        return value
    raise _broken(method, title, f"returned {kind_of(value)}, expected {_article(wanted.__name__)}")


def expect_tensor(
    value: object, shape: tuple[int | None, ...], method: Callable[..., object], title: str, axes: str
) -> Tensor:
    """Returns a tensor of a shape.

    Args:
        value: What the method gave back.
        shape: The size of each axis; None: any.
        method: The method that was called; its file and line go into the error.
        title: The component as messages name it; see `expect`.
        axes: The shape in the letters of the contract: `[b s d]`.

    Raises:
        PartError: It is no tensor, or has another shape.
    """
    tensor = expect(value, Tensor, method, title)
    if len(tensor.shape) == len(shape) and all(
        want is None or want == size for size, want in zip(tensor.shape, shape, strict=True)
    ):
        return tensor
    sizes = " ".join("?" if size is None else str(size) for size in shape)
    raise _broken(method, title, f"returned a tensor of shape {list(tensor.shape)}, expected {axes}, here [{sizes}]")


def expect_visual_tokens(
    value: object,
    count: int,
    width: int | None,
    method: Callable[..., object],
    title: str,
    laid_out: TokenShape | None = None,
) -> VisualTokens:
    """Returns the visual tokens `[k n d]` of images of one size.

    A batch is laid out before any part runs. Tokens more or fewer than that would shift between its rows.

    Args:
        value: What the method gave back.
        count: How many images it was given.
        width: Channels that the next part takes; None: any.
        method: The method that was called; its file and line go into the error.
        title: The component as messages name it; see `expect`.
        laid_out: Tokens of each image in the batch's layout; None: nobody laid them out.

    Raises:
        PartError: It is something else, or of other sizes.
    """
    tokens = expect(value, VisualTokens, method, title)
    shapes: object = tokens.shapes
    if not isinstance(shapes, list | tuple) or not all(isinstance(shape, TokenShape) for shape in shapes):
        raise _broken(method, title, "returned VisualTokens whose shapes are not TokenShapes")
    if len(shapes) != count:
        raise _broken(method, title, f"returned VisualTokens of {len(shapes)} shapes for {count} images")
    values = expect_tensor(tokens.values, (count, None, width), method, title, "[k n d]")
    longest = max((shape.num_tokens for shape in tokens.shapes), default=0)
    if values.shape[1] < longest:
        raise _broken(method, title, f"returned {values.shape[1]} tokens per image, though its shapes say {longest}")
    counts = {shape.num_tokens for shape in tokens.shapes}
    if laid_out is not None and counts - {laid_out.num_tokens}:
        problem = f"returned {', '.join(map(str, sorted(counts)))} tokens for an image"
        raise _broken(method, title, f"{problem}, but the batch was laid out for {laid_out.num_tokens}")
    return tokens


def _broken(method: Callable[..., object], title: str, problem: str) -> PartError:
    return PartError(
        f"{title}: {name_of(method)} {problem}",
        where=place_of(method),
        hint="That breaks the contract in cobra_kit.interfaces, or the part was put into a model that was composed\n"
        "with another one: compose a recipe with it instead.",
    )


def _article(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"
