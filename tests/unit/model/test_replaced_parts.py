"""A part that was put in by hand: what it returns is compared with the layout, and saving notices it."""

from __future__ import annotations

import copy

import pytest
import torch
import toy_plugin
from torch import nn

from cobra_kit.errors import CobraError, ShapeError, WeightsError
from cobra_kit.interfaces import TokenShape, VisualTokens
from cobra_kit.model import compose


def row_of(model, image):
    row = model.processor.row([("What?", "It")], [image(1)])
    return model.processor.collate([row, model.processor.row([("Who?", "We")], [image(2, 24, 8)])])


class Returning(nn.Module):
    """Calls a part and changes what it returns."""

    def __init__(self, part, change) -> None:
        super().__init__()
        self.part, self.change = part, change

    def forward(self, *args):
        return self.change(self.part(*args))

    def extra_embeddings(self):
        return self.part.extra_embeddings()


def fewer(tokens: VisualTokens) -> VisualTokens:
    shapes = tuple(TokenShape(shape.num_tokens - 1) for shape in tokens.shapes)
    return VisualTokens(tokens.values[:, :-1], shapes)


def more(tokens: VisualTokens) -> VisualTokens:
    shapes = tuple(TokenShape(shape.num_tokens + 1) for shape in tokens.shapes)
    return VisualTokens(torch.cat([tokens.values, tokens.values[:, :1]], 1), shapes)


@pytest.mark.parametrize(("kind", "words"), [("projector", "projector"), ("vision_encoder", "vision encoder")])
@pytest.mark.parametrize(("change", "count"), [(fewer, 3), (more, 5)])
def test_another_number_of_tokens(model, image, kind, words, change, count):
    batch = row_of(model, image)
    setattr(model, kind, Returning(getattr(model, kind), change))
    message = (
        rf"the {words} \(Returning\): Returning.forward returned (2|{count}) tokens for an image, but the batch was"
    )
    with pytest.raises(ShapeError, match=message):
        model(batch)
    with pytest.raises(ShapeError, match=rf"returned {count} tokens for an image, but the batch was laid out for 4"):
        model.generate(image(1), "What?", max_new_tokens=2)


CHANGES = {
    "fewer than it says": (
        lambda t: VisualTokens(t.values[:, :2], t.shapes),
        r"returned \d tokens per image, though its shapes say \d",
    ),
    "a tensor": (lambda t: t.values, "returned a Tensor, expected a VisualTokens"),
    "fewer images": (
        lambda t: VisualTokens(t.values[:0], t.shapes),
        r"returned a tensor of shape \[0, .*expected \[k n d\]",
    ),
    "too few shapes": (lambda t: VisualTokens(t.values, ()), "of 0 shapes for 1 images"),
    "flat": (lambda t: VisualTokens(t.values.flatten(0, 1), t.shapes), "expected .k n d."),
}


@pytest.mark.parametrize("kind", ["projector", "vision_encoder"])
@pytest.mark.parametrize("change", CHANGES)
def test_other_forms(model, image, kind, change):
    returns, words = CHANGES[change]
    setattr(model, kind, Returning(getattr(model, kind), returns))
    with pytest.raises(ShapeError, match=words):
        model(row_of(model, image))


def test_another_width(model, image):
    model.projector.linear = nn.Linear(6, 7)
    with pytest.raises(
        ShapeError, match=r"returned a tensor of shape \[\d, \d, 7\], expected \[k n d\], here \[\d \? 10\]"
    ):
        model(row_of(model, image))


@pytest.mark.parametrize("projector", [nn.Linear(6, 10), nn.Linear(5, 10), nn.Identity()])
def test_a_module_that_is_no_projector(model, image, projector):
    model.projector = projector
    with pytest.raises(
        ShapeError, match=r"the projector \(\w+\)(: Identity.forward returned| cannot take)|ToyEncoder.*returned"
    ):
        model(row_of(model, image))


def test_an_encoder_of_another_width(model, image):
    model.vision_encoder.widen = nn.Linear(3, 8)
    with pytest.raises(ShapeError, match=r"ToyEncoder.forward returned a tensor of shape \[1, 4, 8\], expected"):
        model(row_of(model, image))


def test_an_encoder_of_other_inputs(model, image):
    class Blind(nn.Module):
        def forward(self, images, shapes):
            return images["siglip"]

    model.vision_encoder = Blind()
    with pytest.raises(ShapeError, match=r"the vision encoder \(Blind\) cannot take what it is given: KeyError"):
        model(row_of(model, image))


def test_a_backbone_of_another_width_or_vocabulary(model, recipe, image):
    batch, other = row_of(model, image), compose(recipe, overrides=["model.backbone.hidden_size=6"])
    smaller = copy.deepcopy(model)
    smaller.backbone.embedding = nn.Embedding(3, 10)
    with pytest.raises(CobraError, match=r"ToyBackbone.embed: IndexError"):
        smaller(batch)
    model.backbone = other.backbone
    with pytest.raises(
        ShapeError, match=r"returned a tensor of shape \[\d, \d, 10\], expected \[k n d\], here \[\d \? 6\]"
    ):
        model(batch)


def test_a_fusion_scheme_without_the_embeddings_of_the_layout(model, image):
    model.fusion.extra_embeddings = lambda: None
    with pytest.raises(
        ShapeError, match="points at 1 embeddings of the fusion scheme's own, but SeparatorFusion has 0"
    ):
        model(row_of(model, image))


def test_a_fusion_scheme_and_a_backbone_that_shorten_rows(model, image):
    batch = row_of(model, image)
    shorter = copy.deepcopy(model)
    shorter.fusion = Returning(shorter.fusion, lambda s: type(s)(s.embeddings[:, 1:], s.layout))
    with pytest.raises(
        ShapeError, match=r"the fusion scheme \(Returning\): .*returned a tensor of shape \[2, \d+, 10\], expected"
    ):
        shorter(batch)
    backbone = model.backbone
    forward = backbone.forward
    backbone.forward = lambda sequence, state=None: forward(sequence, state)[:, 1:]
    with pytest.raises(ShapeError, match=r"returned a tensor of shape \[2, \d+, 10\], expected \[b s d\]"):
        model(batch)


def test_a_part_of_the_same_sizes_may_be_replaced_and_is_not_saved(model, image, tmp_path):
    class Doubling(toy_plugin.ToyProjector):
        def forward(self, tokens):
            return VisualTokens(2 * super().forward(tokens).values, tokens.shapes)

    batch = row_of(model, image)
    before = model(batch)
    other = Doubling(toy_plugin.ToyProjectorConfig(), in_width=6, max_shape=TokenShape(64), out_width=10)
    other.load_state_dict(model.projector.state_dict())
    model.projector = other
    assert model(batch) != before
    with pytest.raises(
        WeightsError, match=r"no longer what its recipe says(?s:.*)projector is .*Doubling, not ToyProj"
    ):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_what_else_cannot_be_saved(model, tmp_path):
    def refused(change, words):
        changed = copy.deepcopy(model)
        change(changed)
        with pytest.raises(WeightsError) as caught:
            changed.save_pretrained(tmp_path / "saved")
        assert words in str(caught.value)
        assert not (tmp_path / "saved").exists()

    def activate(changed):
        changed.backbone.mix = nn.Sequential(changed.backbone.mix)

    refused(
        lambda m: setattr(m.projector, "linear", nn.Linear(7, 10)), "projector.linear.weight is [10, 7], not [10, 6]"
    )
    refused(activate, "backbone.mix is Sequential, not Linear")
    namesake = type("Linear", (nn.Linear,), {"__module__": "an.adapter"})
    refused(lambda m: setattr(m.backbone, "mix", namesake(10, 10)), "backbone.mix is Linear of an.adapter, not Linear")
    refused(lambda m: m.projector.add_module("relu", nn.ReLU()), "projector.relu was added (ReLU)")
    refused(lambda m: delattr(m.projector, "linear"), "projector.linear was removed")
    refused(
        lambda m: nn.utils.parametrizations.weight_norm(m.backbone.mix), "parametrizations: remove_parametrizations"
    )
    model.save_pretrained(tmp_path / "saved")


def test_a_compiled_part_is_saved_as_what_it_is(model, tmp_path):
    model.projector = torch.compile(model.projector, backend="eager")
    model.save_pretrained(tmp_path / "saved")
    loaded = type(model).from_pretrained(tmp_path / "saved")
    assert torch.equal(loaded.projector.linear.weight, model.projector.linear.weight)


def test_what_a_model_of_parts_by_hand_cannot(model):
    model.recipe = None
    with pytest.raises(CobraError, match="built from parts by hand"):
        model.image_tokens()
