"""What a bench is asked for is checked before anything is built."""

from __future__ import annotations

import pytest

from cobra_kit.bench.settings import Settings, image_numbers, numbers
from cobra_kit.errors import CobraError


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"protocol": "cobr"}, "--protocol: no protocol named 'cobr'"),
        ({"weights": "pretrained"}, "--weights: no weights named 'pretrained'"),
        ({"graphs": "yes"}, "--graphs: no use of graphs named 'yes'"),
        ({"prompt_tokens": (64, 0)}, "--prompt-tokens: 0 is too few, it must be at least 1"),
        ({"batch": (0,)}, "--batch: 0 is too few, it must be at least 1"),
        ({"batch": ()}, "--batch: nothing is given"),
        ({"image_tokens": (-1,)}, "--image-tokens: -1 is too few, it must be at least 0"),
        ({"new_tokens": 1}, "--new-tokens: 1 is too few, it must be at least 2"),
        ({"repeats": 0}, "--repeats: 0 is too few, it must be at least 1"),
        ({"warmup": -1}, "--warmup: -1 is too few, it must be at least 0"),
        ({"dtypes": ()}, "--dtype: nothing is given"),
    ],
)
def test_what_is_refused(wrong, complaint):
    with pytest.raises(CobraError) as caught:
        Settings(**wrong)
    assert complaint in str(caught.value)


def test_numbers_of_an_option():
    assert numbers("64, 256,64", "--batch") == (64, 256)
    assert image_numbers("recipe,0,729") == (None, 0, 729)
    assert image_numbers("196,recipe") == (196, None)
    with pytest.raises(CobraError, match="'x' is no whole number"):
        numbers("1,x", "--batch")
    with pytest.raises(CobraError, match="'a' is no whole number"):
        image_numbers("a")
