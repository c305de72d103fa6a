"""Whatever a caller passes: an answer, or an error that names the argument and says what it takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cobra_kit
from cobra_kit.errors import ArgumentError, CobraError
from cobra_kit.model import VisionLanguageModel, compose

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    7,
    10**30,
    2.5,
    math.nan,
    math.inf,
    1j,
    "",
    "junk",
    "a\0b",
    "\ud800",
    "x" * 5000,
    "https://example.org/a.png",
    b"junk",
    [],
    [None],
    [["a"]],
    (),
    {},
    {"a": 1},
    {"a"},
    object(),
    len,
    int,
    np.zeros((4, 4, 3), np.uint8),
    np.int64(3),
    torch.zeros(3),
    Path("nowhere"),
    Path("/"),
    Image.new("I", (8, 8)),
    Image.new("RGB", (0, 0)),
]
RED = Image.new("RGB", (16, 16), "red")


def ends_well(call: Callable[[], object]) -> str:
    """Returns the error's text, or nothing where there was an answer; any other exception fails the test."""
    try:
        call()
    except CobraError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "name", ["images", "questions", "max_new_tokens", "batch_size", "temperature", "top_p", "seed"]
)
def test_generate(model: VisionLanguageModel, name: str) -> None:
    usual: dict[str, Any] = {"images": None, "questions": "What?", "max_new_tokens": 2}
    texts = [ends_well(lambda value=value: model.generate(**{**usual, name: value})) for value in ODD]  # type: ignore[misc]
    assert any(texts)
    if name not in {"images", "questions"}:
        assert all(name in text for text in texts if text)


@pytest.mark.parametrize("name", ["images", "question", "max_new_tokens"])
def test_stream(model: VisionLanguageModel, name: str) -> None:
    usual: dict[str, Any] = {"images": None, "question": "What?", "max_new_tokens": 2}
    assert any([ends_well(lambda value=value: list(model.stream(**{**usual, name: value}))) for value in ODD])  # type: ignore[misc]


@pytest.mark.parametrize("name", ["images", "questions", "answers", "batch_size"])
def test_answer_probabilities(model: VisionLanguageModel, name: str) -> None:
    usual: dict[str, Any] = {"images": None, "questions": "What?", "answers": []}
    assert any([ends_well(lambda value=value: model.answer_probabilities(**{**usual, name: value})) for value in ODD])  # type: ignore[misc]


def test_what_the_messages_say(model: VisionLanguageModel) -> None:
    generate: Any = model.generate
    for arguments, message in (
        ({"questions": None}, "questions must be a list of texts, not None"),
        ({"questions": ["What?", 3]}, "questions must be texts, and number 2 is an int"),
        ({"images": 7, "questions": "?"}, "images must be a picture, a list of pictures or None, not an int"),
        ({"images": np.zeros((4, 4, 3)), "questions": "?"}, "not a ndarray\n +A picture is a PIL image, a path, or"),
        ({"images": "https://a.org/b.png", "questions": "?"}, "a web address is no file\n +Download the picture"),
        ({"images": [RED, RED], "questions": ["?"]}, "2 images for 1 questions"),
        ({"questions": "?", "max_new_tokens": 0}, "max_new_tokens must be at least 1, not 0"),
        ({"questions": "?", "max_new_tokens": 10**9}, "max_new_tokens must be at most 1048576"),
        ({"questions": "?", "max_new_tokens": 2.0}, "max_new_tokens must be a whole number, not a float"),
        ({"questions": "?", "batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"questions": "?", "temperature": "hot"}, "temperature must be a number, not the text 'hot'"),
        ({"questions": "?", "seed": 1.5}, "seed must be a whole number, not a float"),
    ):
        with pytest.raises(CobraError, match=message):
            generate(**arguments)


def test_errors_of_arguments_are_value_errors_too(model: VisionLanguageModel) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        model.generate(None, "?", max_new_tokens=0)
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(ArgumentError, CobraError)


def test_the_bytes_of_a_file_are_an_image(model: VisionLanguageModel, tmp_path: Path) -> None:
    RED.save(tmp_path / "red.png")
    assert model.generate((tmp_path / "red.png").read_bytes(), "?", max_new_tokens=2) == model.generate(
        RED, "?", max_new_tokens=2
    )


def test_nothing_gives_nothing(model: VisionLanguageModel) -> None:
    assert model.generate(None, []) == model.generate([], []) == model.generate(RED, []) == []
    assert model.answer_probabilities(None, [], ["a", "b"]).shape == (0, 2)
    assert model.answer_probabilities(None, ["?"], []).shape == (1, 0)
    for options in ({}, {"for_generation": True}, {"pack": []}, {"loss_unit": "answer"}):
        batch = model.processor.collate([], **options)  # type: ignore[arg-type]
        assert (batch.num_rows, batch.num_supervised, batch.total_weight) == (0, 0, 0)
    loss = model(model.processor.collate([]))
    loss.backward()
    assert loss.item() == 0


def test_rows_and_batches(model: VisionLanguageModel) -> None:
    processor: Any = model.processor
    row = processor.row([("a", "b")], [RED])
    for value in ODD:
        for call in (
            lambda value=value: processor.row(value),
            lambda value=value: processor.row([value]),
            lambda value=value: processor.row([(value, "b")]),
            lambda value=value: processor.row([("a", value)]),
            lambda value=value: processor.row([("a", "b")], value),
            lambda value=value: processor.row([("a", "b")], [value]),
            lambda value=value: processor.caption_row(value, [RED]),
            lambda value=value: processor.collate(value),
            lambda value=value: processor.collate([value]),
            lambda value=value: processor.collate([row, row], pack=value),
            lambda value=value: processor.collate([row, row], pack=[value]),
            lambda value=value: processor.collate([row, row], pack=[[value]]),
            lambda value=value: processor.collate([row], loss_unit=value),
            lambda value=value: processor.collate([row]).to(value),
            lambda value=value: model(value),
            lambda value=value: model.train_only(value),
        ):
            ends_well(call)
    for call, message in (
        (lambda: processor.row("a"), "turns are a list of .question, answer. pairs, not the text 'a'"),
        (lambda: processor.row([("a", 3)]), "the answer of turn 1 must be a text, not an int"),
        (lambda: processor.row([("a", "b", "c")]), "turn 1 must be a pair .question, answer., not a tuple of 3"),
        (lambda: processor.row([("a", "b")], RED), "images must be a list of images, not an Image"),
        (lambda: processor.row([("a", "b")], ["a.png"]), "number 1 is the text 'a.png'\n +Open files with"),
        (lambda: processor.collate([row], loss_unit="row"), "loss_unit must be one of token, answer, not 'row'"),
        (lambda: processor.collate(row), "rows must be a list of prepared rows, not a PreparedRow"),
        (lambda: processor.collate([row], pack=[0]), "a packing is a list of lists of row numbers, not a list"),
        (lambda: model({}), "batch must be the class Batch, not a dict"),
        (lambda: processor.collate([row]).to("gpu"), "device 'gpu' cannot be used here"),
    ):
        with pytest.raises(CobraError, match=message):
            call()


@pytest.mark.parametrize("name", ["recipe", "arm", "profile", "overrides", "device", "dtype", "encoder_dtype", "seed"])
def test_compose(recipe: Path, name: str) -> None:
    usual: dict[str, Any] = {"recipe": recipe, "device": "meta"}
    assert any([ends_well(lambda value=value: compose(**{**usual, name: value})) for value in ODD])  # type: ignore[misc]


def test_what_compose_says(recipe: Path) -> None:
    anything: Any = compose
    for arguments, message in (
        ({"device": "gpu"}, "device 'gpu' cannot be used here: .*\n +Such as 'cpu', 'cuda' or 'cuda:1'"),
        ({"dtype": "int8"}, "dtype must be a floating-point type, not the text 'int8'"),
        ({"dtype": torch.int8}, "dtype must be a floating-point type, not torch.int8"),
        ({"seed": "7"}, "seed must be a whole number, not the text '7'"),
        ({"overrides": "seed=3"}, "overrides must be a list of texts, not the text 'seed=3'"),
    ):
        with pytest.raises(CobraError, match=message):
            anything(recipe, **arguments)
    with pytest.raises(CobraError, match="a recipe is named by a text or a path, not None"):
        anything(None)
    assert compose(recipe, dtype="bfloat16").backbone.head.weight.dtype == torch.bfloat16  # type: ignore[arg-type]
    loaded = cobra_kit.load_recipe(recipe)
    with pytest.raises(CobraError, match="a loaded recipe has its profile and settings already"):
        compose(loaded, overrides=["seed=3"])


def test_folders(model: VisionLanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    functions: tuple[Any, ...] = (cobra_kit.load, VisionLanguageModel.from_pretrained)
    for function in functions:
        for value in ODD:
            assert ends_well(lambda function=function, value=value: function(value))  # type: ignore[misc]
    with pytest.raises(CobraError, match="folder must be a path, not None"):
        model.save_pretrained(None)  # type: ignore[arg-type]
    with pytest.raises(CobraError, match="folder holds a name of 5000 bytes, and file systems take 255"):
        model.save_pretrained("x" * 5000)
