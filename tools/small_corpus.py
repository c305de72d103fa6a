"""The words and sentences that the small tokenizer is made from: our own, about simple images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, product
from string import ascii_uppercase, digits


def _words(text: str) -> list[str]:
    return text.split()


COLOURS = _words("red green blue yellow orange purple pink brown black white grey cyan")
SHAPES = _words("circle square triangle star diamond cross ring heart hexagon pentagon ellipse rectangle")
SIZES = _words("small large tiny big medium")
NUMBERS = _words("zero one two three four five six seven eight nine ten")
PLACES = _words("left right above below top bottom middle centre corner upper lower inside outside near far")
ANSWERS = _words("yes no true false none unanswerable")
"""Words that stand alone as an answer, and inside sentences."""

CHOICES = ["Yes", "No", "True", "False", *ascii_uppercase, *digits]
"""Answers whose probability is read at the first token, so each must be one token."""

PROSE = _words("""
a an the this that these those there here it its they them is are was were be has have do does can not and or of in on
at to from by with for as than between beside next behind front over under which what how many much where who when
why color colour shape size word words letter letters text sign says say written read reads picture image scene
object objects thing things number count side part area region box bounding coordinate coordinates sentence describes
describe statement question answer answers using single phrase short respond directly based provide please following
provided information insufficient reference token tokens contains contain shows show see seen visible present any
each every all both more most less fewer same other another different only also but if then first second third last
background empty blurred partly hidden overlaps touches touching filled outlined row column line pair group
""")

OPENINGS = _words("""
What Which How Is Are Does Do Where There The A This In Out Answer Respond Based Please Provide Describe Reference
Count Read Name Look When
""")

SENTENCES = [
    "What colour is the {size} {shape}?",
    "What color is the {shape}?",
    "Which shape is {colour}?",
    "How many {colour} {shape}s are there?",
    "How many objects are in the picture?",
    "Is there a {size} {colour} {shape} in the image?",
    "There are {number} {shape}s and {number} {colour} objects.",
    "The {colour} {shape} is {place} the {size} {shape}.",
    "The {shape} is to the left of the {colour} {shape}.",
    "The {shape} is to the right of the {colour} {shape}.",
    "What is written below the {colour} {shape}?",
    "Where is the {size} {colour} {shape}? In the {place} {place} corner.",
    'Which word is on the {colour} sign? "{shape}"',
]


def training_lines() -> Iterator[str]:
    """Yields the lines that pair frequencies are counted on.

    Another corpus, such as the sentences of an embedded world, is used by passing its lines to `build` instead.
    """
    for template in SENTENCES:
        kinds = product(COLOURS, SHAPES, SIZES)
        for (colour, shape, size), number, place in zip(kinds, cycle(NUMBERS), cycle(PLACES), strict=False):
            yield template.format(colour=colour, shape=shape, size=size, number=number, place=place)
    yield from ("The box is [0.12, 0.30, 0.55, 0.90].", '"True" or "False"?', '"Yes" or "No".')


def whole_words() -> Iterator[str]:
    """Yields the strings that are one token each, whatever the frequencies say."""
    for word in [*CHOICES, *COLOURS, *SHAPES, *SIZES, *NUMBERS, *PLACES, *ANSWERS, *OPENINGS]:
        yield from (word, f" {word}")
    yield from ("the", " [")
    for word in PROSE:
        yield f" {word}"
