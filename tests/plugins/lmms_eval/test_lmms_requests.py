"""What tasks of lmms-eval ask, as the served model understands it; needs no lmms-eval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cobra_kit.errors import CobraError
from cobra_kit_lmms_eval.requests import Decoding, decoding_of, images_of


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, Decoding(32, 0.0, 1.0, ())),
        (
            {"max_new_tokens": 8, "until": "\n\n", "do_sample": False, "temperature": 0.7},
            Decoding(8, 0.0, 1.0, ("\n\n",)),
        ),
        ({"temperature": 0.5, "top_p": 0.9, "until": ["a", "b"]}, Decoding(32, 0.5, 0.9, ("a", "b"))),
        ({"do_sample": True, "num_beams": 1, "top_p": None}, Decoding(32, 1.0, 1.0, ())),
    ],
)  # fmt: skip
def test_keywords_of_a_task_say_how_to_decode(arguments: dict[str, Any], expected: Decoding) -> None:
    assert decoding_of(arguments, 32, "quiz") == expected


def test_an_answer_ends_before_the_first_of_the_texts_that_end_it() -> None:
    decoding = Decoding(32, 0.0, 1.0, ("\n\n", "USER"))
    assert decoding.cut("a dog USER what\n\nmore") == "a dog"
    assert decoding.cut("a dog") == "a dog"


def test_beams_and_what_is_no_image_are_refused_with_the_task(tmp_path: Path) -> None:
    with pytest.raises(CobraError, match=r"lmms-eval task quiz: the task asks for 5 beams"):
        decoding_of({"num_beams": 5}, 32, "quiz")
    with pytest.raises(CobraError, match=r"lmms-eval task quiz: a document shows the file clip\.mp4, and models here"):
        images_of(["clip.mp4"], "quiz")
    with pytest.raises(CobraError, match=r"a document shows dict"):
        images_of([{"array": [0.0]}], "quiz")


def test_images_are_rgb_and_none_is_none() -> None:
    [image] = images_of([Image.new("L", (4, 3))], "quiz")
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size) == ("RGB", (4, 3))
    assert images_of(None, "quiz") == []
