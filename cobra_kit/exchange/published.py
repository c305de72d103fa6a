"""A model's tensors under the names of a file, for reading into them and for writing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from cobra_kit._plugins import call_component
from cobra_kit.errors import PluginError
from cobra_kit.model.returned import expect
from cobra_kit.model.signature import composed_tensors

if TYPE_CHECKING:
    from collections.abc import Collection

    from cobra_kit.exchange.layouts import CheckpointLayout
    from cobra_kit.interfaces import Component
    from cobra_kit.model import VisionLanguageModel
    from cobra_kit.plugin import Kind


class RecipeModel(nn.Module):
    """Stands for parts of a recipe's model whose tensors go by other names.

    Args:
        tensors: Name -> the tensor itself; tied names share one.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.tensors = tensors

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]  # no destination
        """Returns the tensors themselves, not copies."""
        return dict(self.tensors)


def tensors_of(
    model: VisionLanguageModel, layout: CheckpointLayout, kinds: Collection[Kind] | None = None
) -> dict[str, Tensor]:
    """Returns a model's tensors, of any shape, by the names that a layout's files have them under.

    Args:
        model: The composed model.
        layout: The layout whose names are used.
        kinds: The parts whose tensors are wanted; None: all that the layout has.

    Raises:
        PluginError: A component's `published_names` are not one to one with its tensors.
        WeightsError: A part was replaced or wrapped since the model was composed.
    """
    tensors: dict[str, Tensor] = {}
    kinds = list(layout.parts if kinds is None else kinds)
    composed_tensors(model, model.composed, kinds)
    for kind in kinds:
        part = cast("Component", model.parts()[kind])
        own = {name: value for name, value in part.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}
        method, component = part.published_names, model.component(kind)
        published = call_component(component, method)
        title = model.components[kind] if component is None else component.title
        expect(published, Mapping, method, title)  # type: ignore[type-abstract]  # any mapping will do
        _check(model.components[kind], own, published)
        names = layout.parts[kind](list(published.values()))
        tensors |= {names[published[name]]: value for name, value in own.items()}
    return tensors


def _check(component: str, own: Mapping[str, Tensor], published: Mapping[str, str]) -> None:
    wrong = sorted(set(own) ^ set(published))
    if wrong or len(set(published.values())) < len(published):
        problem = f"they differ in {', '.join(wrong)}" if wrong else "two tensors have one published name"
        raise PluginError(
            f"published_names() of {component} does not fit its state_dict(): {problem}",
            hint="It returns, per name of state_dict(), another name, or the same.",
        )
