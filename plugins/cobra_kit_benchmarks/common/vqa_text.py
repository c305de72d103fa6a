"""The rewriting of answers by the VQA evaluators, before they compare them.

Behaviour, quirks included, as that of `vqaEval.py` (GT-Vision-Lab/VQA a013f00) and of the processor that the
EvalAI server and mmf's M4C evaluators share (facebookresearch/mmf c46b3b3). The code is our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
# The published pattern looks as if it spared periods after a digit; it does not: only a digit after the
# period saves it. It also stops after 32 periods, since a flag is passed where the count belongs.
_PERIOD = re.compile(r"\.(?!\d)")
_PERIODS_AT_MOST = 32
_REMEMBERED = 1 << 17  # answers repeat: 2,143,540 of them are some 100,000 different ones
_ARTICLES = frozenset({"a", "an", "the"})
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_DIGITS)} | {"none": "0"}

# Words as they are written out; an answer that misses one apostrophe of theirs gets it back.
# One word a line would be two pages.
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd
    he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't
    must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've
    somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd
    something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll they're
    they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've
    who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll
    y'all'd've you'd you'd've you'll you're you've
""".split()  # noqa: SIM905


def _without_one_apostrophe(word: str) -> list[str]:
    return [word[:index] + word[index + 1 :] for index, letter in enumerate(word) if letter == "'"]


CONTRACTIONS = {short: word for word in _CONTRACTED for short in _without_one_apostrophe(word)}
CONTRACTIONS["somebody'd"] = "somebodyd"  # the published table has this entry the wrong way round

_TYPED_PLAINLY = frozenset(["ain't", "aren't", "can't", "could've", "couldn't", "we've", "where's", "who've"])
_KEYS_TYPED_PLAINLY = frozenset({"couldn'tve", "hadn'tve"})


def contractions_with(mark: str) -> dict[str, str]:
    """Returns the table of contractions as VizWiz' evaluator has it: the apostrophes of most words became `mark`."""
    table = {}
    for short, word in CONTRACTIONS.items():
        key = short if short in _KEYS_TYPED_PLAINLY else short.replace("'", mark)
        table[key] = word if word in _TYPED_PLAINLY else word.replace("'", mark)
    return table


def strip_space(text: str) -> str:
    """Returns the text with line breaks and tabs as spaces, without space at its ends."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def punctuation(text: str) -> str:
    """Returns the text without punctuation.

    A mark is removed where it touches a space anywhere in the text, or where the text has a number such as
    1,000; else it becomes a space. Apostrophes, colons and periods inside numbers stay.
    """
    removes_all = _COMMA_IN_NUMBER.search(text) is not None
    result = text
    for mark in _PUNCTUATION:
        touches_space = mark + " " in text or " " + mark in text
        result = result.replace(mark, "" if removes_all or touches_space else " ")
    return _PERIOD.sub("", result, count=_PERIODS_AT_MOST)


def words(text: str, contractions: Mapping[str, str] = CONTRACTIONS) -> str:
    """Returns the text in lower case, numbers up to ten as digits, without articles, contractions mended."""
    numbered = (_NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(contractions.get(word, word) for word in numbered if word not in _ARTICLES)


@lru_cache(_REMEMBERED)
def vqa(text: str) -> str:
    """Returns the text as the VQA evaluator compares it, where it normalises at all."""
    return words(punctuation(text))


@lru_cache(_REMEMBERED)
def evalai(text: str) -> str:
    """Returns the text as the EvalAI server and the M4C evaluator compare it."""
    lowered = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return vqa(strip_space(lowered.strip()))


def leave_one_out(prediction: str, answers: tuple[str, ...]) -> float:
    """Returns VQA accuracy: each annotator in turn is set aside, and `min(1, matches / 3)` is averaged.

    With ten annotators and n matches in all this is `min(1, 0.3 n)`; no rounding is applied.
    """
    matches = answers.count(prediction)
    if not matches or matches > 3:  # whoever is set aside: none are left, or three at least
        return float(bool(matches))
    scores = (min(1.0, (matches - (answer == prediction)) / 3) for answer in answers)
    return sum(scores) / len(answers)


def most_common(answers: tuple[str, ...]) -> str:
    """Returns the answer that most annotators gave; the first of several."""
    return max(dict.fromkeys(answers), key=answers.count)
