"""The world in words alone: passages about scenes, and conversations in which a sentence stands for the image.

Their scenes are those of the split `towers`, so no layout of a training, validation or test image is among them;
another split serves to test what was learnt. Nothing is drawn. Whatever is asked or stated follows from the sentence
that comes first, so what a language model learns here is to find the asked-for thing in what it has read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from random import Random

from cobra_kit.data.rows import TrainingRow
from cobra_kit_scenes.balance import Balancer
from cobra_kit_scenes.benchmark_prompts import prompt, reply
from cobra_kit_scenes.captions import caption
from cobra_kit_scenes.descriptions import STYLES, answers, described
from cobra_kit_scenes.held_out import benchmark_of
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.names import image_stem
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.questions import answer_text
from cobra_kit_scenes.questions.presence import absent
from cobra_kit_scenes.rows import SLACK, choose_questions
from cobra_kit_scenes.splits import image_rng, scene_of
from cobra_kit_scenes.vocabulary import Split, article

_MOST_FACTS = 6


def passages(params: SceneParams, split: Split = "towers") -> Iterator[TrainingRow]:
    """Yields a passage per scene, as many as there are training images: a caption, then facts that it implies."""
    for index, scene in _scenes(params, split):
        rng = image_rng(params.seed, split, index, "passage")
        known = facts(scene, rng)
        chosen = rng.sample(known, min(_MOST_FACTS, len(known)))
        text = "".join(
            f"{sentence[:1].upper()}{sentence[1:]}. " for sentence in (caption(scene, rng), *chosen)
        ).rstrip()
        yield TrainingRow(f"{image_stem(split, index)}/passage", (), (("", text),))


def conversations(params: SceneParams, split: Split = "towers") -> Iterator[TrainingRow]:
    """Yields a conversation per scene, as many as there are training images.

    Its questions, prompts and answers are in the form of the training rows, balanced as they are; the first one has the
    description in front, in a line of its own.
    """
    balancer = Balancer(SLACK)
    for index, scene in _scenes(params, split):
        rng = image_rng(params.seed, split, index, "conversation")
        style = rng.choice(STYLES)
        opening = described(scene, style, rng)
        questions = choose_questions(scene, rng, params, balancer, partial(answers, scene, style))
        if not questions:
            continue
        forms = [(benchmark_of(question.ability), question) for question in questions]
        turns = [(prompt(form, q.text, params.prompts), reply(form, answer_text(q))) for form, q in forms]
        turns[0] = (f"{opening}\n{turns[0][0]}", turns[0][1])
        kinds = tuple(question.ability for question in questions)
        yield TrainingRow(f"{image_stem(split, index)}/conversation", (), tuple(turns), kinds)


def facts(scene: Scene, rng: Random) -> list[str]:
    """Returns short statements that are true of the scene, such as "the circle is red", "there is no red star"."""
    shapes = Counter(item.shape for item in scene.objects)
    colors = Counter(item.color for item in scene.objects)
    sentences = [f"the {item.shape} is {item.color}" for item in scene.objects if shapes[item.shape] == 1]
    sentences += [
        f"the {item.color} object is {article(item.shape)}" for item in scene.objects if colors[item.color] == 1
    ]
    sentences += [f"there is {article(item.name)}" for item in scene.objects]
    hard = absent(scene, "adversarial", ())
    sentences += [
        f"there is no {color} {shape}" for color, shape in rng.sample(hard, min(len(hard), len(scene.objects)))
    ]
    if len(scene.objects) > 1:
        sentences.append(f"there are {len(scene.objects)} objects")
        sentences += [f"there are {number} {color} objects" for color, number in colors.items() if number > 1]
    if scene.text is not None:
        sentences.append(f"the {'letter' if len(scene.text.text) == 1 else 'word'} is {scene.text.text}")
    return sentences


def _scenes(params: SceneParams, split: Split) -> Iterator[tuple[int, Scene]]:
    for index in range(params.train):
        yield index, scene_of(params.seed, split, index)
