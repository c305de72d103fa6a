"""Parts that raise, or return nonsense: every one ends as an error that names component, package, file and line."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cobra_kit import _plugins
from cobra_kit._plugins import attributed
from cobra_kit.errors import CobraError, PluginError
from cobra_kit.model import compose

TOY = Path(__file__).parents[2] / "toy_plugin.py"
RECIPE = """
title: hostile
seed: 3
model:
  vision_encoder: {use: hostile/patches}
  projector: {use: hostile/linear}
  fusion: {use: hostile/separator}
  backbone: {use: hostile/decay}
"""
RAISING = """
def fault(*args, **kwargs):
    RAISE  # the author's line
"""
METHODS = {
    "ToyEncoder.__init__": "vision encoder",
    "ToyEncoder.reset_parameters": "vision encoder",
    "ToyEncoder.load_pretrained": "vision encoder",
    "ToyEncoder.preprocess": "vision encoder",
    "ToyEncoder.max_shape": "vision encoder",
    "ToyEncoder.forward": "vision encoder",
    "ToyProjector.__init__": "projector",
    "ToyProjector.output_shape": "projector",
    "ToyProjector.forward": "projector",
    "SeparatorFusion.__init__": "fusion scheme",
    "SeparatorFusion.layout": "fusion scheme",
    "SeparatorFusion.extra_embeddings": "fusion scheme",
    "SeparatorFusion.forward": "fusion scheme",
    "ToyBackbone.__init__": "backbone",
    "ToyBackbone.text_codec": "backbone",
    "ToyBackbone.embed": "backbone",
    "ToyBackbone.forward": "backbone",
    "ToyBackbone.logits": "backbone",
    "ToyBackbone.new_state": "backbone",
    "ToyBackbone.step": "backbone",
}
RETURNS = [
    ("ToyEncoder.preprocess", "None", "expected a Callable"),
    ("ToyEncoder.preprocess", "lambda image: None", "returned None, expected a PreparedImage"),
    ("ToyEncoder.preprocess", "lambda image: PreparedImage({}, 64)", "the shape of a prepared image is a TokenShape"),
    ("ToyEncoder.preprocess", "lambda image: PreparedImage(None, TokenShape(1))", "are a mapping of names to tensors"),
    ("ToyEncoder.max_shape", "None", "returned None, expected a TokenShape"),
    ("ToyEncoder.max_shape", "TokenShape(2.5)", "num_tokens of an image is a whole number, not a float"),
    ("ToyEncoder.max_shape", "TokenShape(4, 2)", r"a grid is \(rows, columns\), not 2"),
    ("ToyEncoder.forward", "None", "returned None, expected a VisualTokens"),
    ("ToyEncoder.forward", "torch.zeros(1)", "returned a Tensor, expected a VisualTokens"),
    ("ToyEncoder.forward", "VisualTokens(None, args[2])", r"are a tensor \[k n d\], not None"),
    ("ToyEncoder.forward", "VisualTokens(torch.zeros(1, 4, 5), args[2])", r"shape \[1, 4, 5\], expected \[k n d\]"),
    ("ToyEncoder.forward", "VisualTokens(torch.zeros(1, 3, 6), args[2])", "returned 3 tokens per image, though"),
    ("ToyEncoder.forward", "VisualTokens(torch.zeros(1, 4, 6), ())", "of 0 shapes for 1 images"),
    ("ToyEncoder.forward", "VisualTokens(torch.zeros(1, 4, 6), 7)", "whose shapes are not TokenShapes"),
    ("ToyProjector.output_shape", "None", "returned None, expected a TokenShape"),
    ("ToyProjector.output_shape", "64", "returned an int, expected a TokenShape"),
    ("ToyProjector.forward", "None", "returned None, expected a VisualTokens"),
    (
        "ToyProjector.forward",
        "VisualTokens(torch.zeros(1, 4, 3), args[1].shapes)",
        r"expected \[k n d\], here \[1 \? 10\]",
    ),
    ("SeparatorFusion.layout", "None", "returned None, expected a Layout"),
    ("SeparatorFusion.layout", "([], [], [])", "returned a tuple, expected a Layout"),
    (
        "SeparatorFusion.layout",
        "Layout(None, [0], [0])",
        "the layout of row 0: kind is .* expected a list of whole numbers",
    ),
    (
        "SeparatorFusion.layout",
        "Layout(['text'], [0], [0])",
        "the layout of row 0: kind is .* expected a list of whole numbers",
    ),
    (
        "SeparatorFusion.layout",
        "Layout([0], [0.5], [0])",
        "the layout of row 0: index is .* expected a list of whole numbers",
    ),
    (
        "SeparatorFusion.layout",
        "Layout([0], [0], [None])",
        "the layout of row 0: labels is .* expected a list of whole numbers",
    ),
    ("SeparatorFusion.extra_embeddings", "7", r"'hostile/separator' .* returned an int, expected a Tensor"),
    ("SeparatorFusion.forward", "None", "returned None, expected a FusedSequence"),
    ("SeparatorFusion.forward", "FusedSequence(None, args[3])", r"are a tensor \[b s d\], not None"),
    ("SeparatorFusion.forward", "FusedSequence(torch.zeros(1, 2, 3), args[3])", r"expected \[b s d\]"),
    ("ToyBackbone.text_codec", "None", "None"),
    (
        "ToyBackbone.text_codec",
        "TextCodec(None, None, 512)",
        "the tokenizer of a codec is a Tokenizer, and None has no",
    ),
    ("ToyBackbone.embed", "None", "returned None, expected a Tensor"),
    ("ToyBackbone.forward", "None", "returned None, expected a Tensor"),
    ("ToyBackbone.forward", "torch.zeros(3)", r"shape \[3\], expected \[b s d\]"),
    ("ToyBackbone.logits", "None", "returned None, expected a Tensor"),
    ("ToyBackbone.logits", "torch.zeros(2, 7)", r"expected \[.. vocab_size\]"),
    ("ToyBackbone.new_state", "None", "returned None, expected a DecodeState"),
    ("ToyBackbone.step", "None", "returned None, expected a Tensor"),
]


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "hostile.py"
    _plugins.configure(files=[path])
    yield path
    _plugins.configure()


def journey(plugin: Path, fault: str) -> None:
    """Composes, trains a step, answers in every way, and saves."""
    plugin.write_text(TOY.read_text() + fault)
    recipe = plugin.with_name("recipe.yaml")
    recipe.write_text(RECIPE)
    model = compose(recipe)
    image = Image.new("RGB", (16, 16), "red")
    batch = model.processor.collate([model.processor.row([("What?", "red")], [image])])
    with attributed():  # as training does
        model(batch).backward()
    model.generate(image, "What?", max_new_tokens=3)
    model.answer_probabilities(image, "What?", [model.processor.codec.tokenizer.decode([40])])
    list(model.stream(image, "What?", max_new_tokens=3))
    model.save_pretrained(plugin.with_name("saved"))


def bound(target: str, function: str = "fault") -> str:
    cls, method = target.split(".")
    wrapped = (
        f"classmethod({function})"
        if method in {"preprocess", "max_shape", "output_shape", "layout", "text_codec"}
        else function
    )
    return f"\n{cls}.{method} = {wrapped}\n"


def test_the_parts_of_this_test_are_sound(plugin: Path) -> None:
    journey(plugin, "")


@pytest.mark.parametrize(
    "raised", ["raise KeyError('lost')", "return fault()", "raise SystemExit(3)", "next(iter(()))"]
)
@pytest.mark.parametrize("target", METHODS)
def test_a_method_that_raises(plugin: Path, target: str, raised: str) -> None:
    with pytest.raises(PluginError) as error:
        journey(plugin, RAISING.replace("RAISE", raised) + bound(target))
    line = 1 + plugin.read_text().splitlines().index(f"    {raised}  # the author's line")
    name = {"vision encoder": "patches", "projector": "linear", "fusion scheme": "separator", "backbone": "decay"}
    kind = METHODS[target]
    assert str(error.value).startswith(f"{plugin}:{line}: {kind} 'hostile/{name[kind]}' ({plugin}) failed in fault: ")


@pytest.mark.parametrize("target", METHODS)
def test_a_method_whose_signature_is_wrong(plugin: Path, target: str) -> None:
    with pytest.raises(PluginError) as error:
        journey(plugin, "\ndef fault(): pass\n" + bound(target))
    assert re.search(
        rf"{METHODS[target]} 'hostile/\w+' \({plugin}\) failed in .*(takes 0 positional|unexpected keyword)",
        str(error.value),
    )


@pytest.mark.parametrize(("target", "value", "message"), RETURNS)
def test_a_method_that_returns_nonsense(plugin: Path, target: str, value: str, message: str) -> None:
    with pytest.raises(CobraError, match=message) as error:
        journey(plugin, f"\ndef fault(*args, **kwargs):\n    return {value}\n" + bound(target))
    assert "hostile/" in str(error.value)


@pytest.mark.parametrize(("name", "value"), [("hidden_size", "None"), ("vocab_size", "0"), ("width", "2.5")])
def test_a_size_that_is_no_size(plugin: Path, name: str, value: str) -> None:
    cls = "ToyEncoder" if name == "width" else "ToyBackbone"
    fault = f"\nbuild = {cls}.__init__\ndef fault(self, config):\n    build(self, config)\n    self.{name} = {value}\n"
    with pytest.raises(PluginError, match=rf"'hostile/\w+' \(.*\): {cls}.{name} is .*, expected 1 or more"):
        journey(plugin, fault + bound(f"{cls}.__init__"))


@pytest.mark.parametrize("raised", ["raise KeyError('lost')", "raise ValueError('lost')", "raise RuntimeError('lost')"])
def test_a_validator_that_raises_is_told_with_the_recipes_line(plugin: Path, raised: str) -> None:
    fault = (
        "\nfrom pydantic import model_validator\nclass Spoilt(ToyProjectorConfig):\n"
        "    @model_validator(mode='after')\n    def check(self):\n"
        f"        {raised}\nToyProjectorConfig = Spoilt\n"
    )
    with pytest.raises(CobraError, match=r"recipe.yaml:6: model.projector.*lost"):
        journey(plugin, fault)


def test_a_backward_pass_that_raises(plugin: Path) -> None:
    fault = """
class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values * 1
    @staticmethod
    def backward(ctx, gradient):
        return gradient["lost"]
def fault(self, tokens):
    return VisualTokens(Broken.apply(self.linear(tokens.values)), tokens.shapes)
"""
    with pytest.raises(PluginError, match=rf"{plugin}:\d+: plugin 'hostile' \({plugin}\) failed in Broken.backward"):
        journey(plugin, fault + bound("ToyProjector.forward"))


@pytest.mark.parametrize(
    "happens",
    ["raise torch.OutOfMemoryError('full')", "raise MemoryError()", "__import__('signal').raise_signal(2)  # Ctrl-C"],
)
def test_what_is_nobodys_mistake_passes(plugin: Path, happens: str) -> None:
    with pytest.raises((torch.OutOfMemoryError, MemoryError, KeyboardInterrupt)):
        journey(plugin, RAISING.replace("RAISE", happens) + bound("ToyProjector.forward"))


@pytest.mark.parametrize(
    "raised",
    [
        "raise BaseException('lost')",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "raise BrokenPipeError",
        "exit(0)",
        "__import__('argparse').ArgumentParser().parse_args(['--lost'])",
        "raise __import__('asyncio').CancelledError",
        "raise __import__('optuna').TrialPruned",
        "raise type('Lost', (Exception,), {'__str__': lambda self: 1 / 0})",
        "raise type('Lost', (Exception,), {'__str__': lambda self: exit(0)})",
        "raise type('Lost', (RuntimeError,), {'__class__': property(lambda self: 1 / 0)})",
    ],
)
@pytest.mark.parametrize("target", ["ToyProjector.__init__", "ToyProjector.forward", "ToyBackbone.step"])
def test_nothing_that_a_part_raises_ends_the_program_unnamed(plugin: Path, target: str, raised: str) -> None:
    with pytest.raises(PluginError) as error:
        journey(plugin, RAISING.replace("RAISE", raised) + bound(target))
    line = 1 + next(n for n, text in enumerate(plugin.read_text().splitlines()) if "the author's line" in text)
    named = "backbone 'hostile/decay'" if "Backbone" in target else "projector 'hostile/linear'"
    assert str(error.value).startswith(f"{plugin}:{line}: {named} ({plugin}) failed in fault: ")


def test_a_validator_that_raises_what_is_no_exception(plugin: Path) -> None:
    fault = (
        "\nfrom pydantic import model_validator\nclass Spoilt(ToyProjectorConfig):\n"
        "    @model_validator(mode='after')\n    def check(self):\n"
        "        raise KeyboardInterrupt\nToyProjectorConfig = Spoilt\n"
    )
    with pytest.raises(CobraError, match=r"recipe.yaml:6: model.projector.*'hostile/linear'.*KeyboardInterrupt"):
        journey(plugin, fault)


UNFILLED = {
    "a parameter": ("", "pass", "linear.weight, linear.bias of ToyProjector has no value after reset_parameters"),
    "one of two": ("", "self.linear.weight.data.normal_()", "linear.bias of ToyProjector has no value"),
    "some values": ("", "_normal(self, generator); self.linear.weight.data[0, 0] = math.nan", "linear.weight of"),
    "a buffer": (
        "self.register_buffer('table', torch.empty(3), persistent=False)",
        "_normal(self, generator)",
        "table",
    ),
    "whole numbers": (
        "self.register_buffer('order', torch.empty(3, dtype=torch.int64))",
        "_normal(self, generator); self.order[0] = 1",
        "order of ToyProjector has no value",
    ),
    "no buffer": ("self.plain = torch.ones(3)", "_normal(self, generator)", "plain of ToyProjector has no memory"),
}


@pytest.mark.parametrize(("built", "reset", "message"), UNFILLED.values(), ids=UNFILLED)
def test_what_is_left_without_a_value_is_named(plugin: Path, built: str, reset: str, message: str) -> None:
    fault = f"""
build = ToyProjector.__init__
def wider(self, *args, **kwargs):
    build(self, *args, **kwargs)
    {built}
ToyProjector.__init__ = wider
def reset(self, generator=None):
    {reset}
ToyProjector.reset_parameters = reset
"""
    with pytest.raises(PluginError, match=message) as error:
        journey(plugin, fault)
    assert f"projector 'hostile/linear' ({plugin}): " in str(error.value)
    assert error.value.where is not None
    assert error.value.where.startswith(f"{plugin}:")


def test_a_part_that_draws_without_a_generator_is_the_same_every_time_and_changes_no_other(plugin: Path) -> None:
    fault = """
def reset(self, generator=None):
    import random, numpy
    with torch.no_grad():
        self.linear.weight.normal_().add_(random.random() + numpy.random.rand())
        self.linear.bias.zero_()
    random.seed(7), numpy.random.seed(7), torch.manual_seed(7)
ToyProjector.reset_parameters = reset
"""
    journey(plugin, fault)
    weights = []
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        expected = random.Random(seed).random(), np.random.RandomState(seed).rand(), torch.Generator().manual_seed(seed)
        weights.append(compose(plugin.with_name("recipe.yaml")).projector.linear.weight)
        assert (random.random(), np.random.rand()) == expected[:2]
        assert torch.rand(1) == torch.rand(1, generator=expected[2])
    assert torch.equal(*weights)


def test_what_a_part_prints_goes_to_stderr(plugin: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fault = """
forward = ToyProjector.forward
def fault(self, tokens):
    print('noise')
    return forward(self, tokens)
"""
    journey(plugin, fault + bound("ToyProjector.forward"))
    output = capfd.readouterr()
    assert "noise" in output.err
    assert output.out == ""


def test_an_exception_of_the_callers_own_passes_through_a_hook(plugin: Path) -> None:
    class Enough(Exception):
        pass

    plugin.write_text(TOY.read_text())
    recipe = plugin.with_name("recipe.yaml")
    recipe.write_text(RECIPE)
    model = compose(recipe)

    def stop(*_: object) -> None:
        raise Enough

    model.projector.linear.register_forward_hook(stop)
    with pytest.raises(Enough):
        model.generate(Image.new("RGB", (16, 16)), "What?")
