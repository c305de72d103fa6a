"""Training rows in LLaVA's form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from cobra_kit_scenes.balance import Balancer
from cobra_kit_scenes.benchmark_prompts import prompt, reply
from cobra_kit_scenes.held_out import benchmark_of
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.names import image_name, image_stem
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.questions import ABILITIES, ASK, Ability, Question, answer_text
from cobra_kit_scenes.splits import image_rng

SLACK = 2
"""By how much an answer may be ahead of the rarest answer to the same words; see `Balancer`."""

_LARGEST_SHARE = 0.375
"""Of a row, for one ability: else statements about places, which are many, would fill the rows."""


def train_rows(scenes: Iterable[Scene], params: SceneParams) -> Iterator[tuple[dict[str, Any] | None, list[str]]]:
    """Yields per image its row (None where there is nothing to ask) and the slice of each question."""
    balancer = Balancer(SLACK)
    for index, scene in enumerate(scenes):
        rng = image_rng(params.seed, "train", index, "questions")
        questions = choose_questions(scene, rng, params, balancer)
        yield (
            (_row(index, questions, params) if questions else None),
            [question.slice for question in questions],
        )


def choose_questions(
    scene: Scene,
    rng: Random,
    params: SceneParams,
    balancer: Balancer,
    answerable: Callable[[Question], bool] = lambda question: True,
) -> list[Question]:
    """Returns the questions of one row: abilities drawn by weight, answers balanced, no text twice.

    Args:
        scene: What is asked about.
        rng: Source of every choice.
        params: Weights, hardest levels, and how many questions.
        balancer: What has been asked before.
        answerable: Which questions may be asked.
    """
    open_to_ask: dict[Ability, list[Question]] = {}
    for ability in ABILITIES:  # in this order, whatever the order of the weights
        if not params.abilities.get(ability):
            continue
        hardest = params.hardest(ability)
        candidates = [q for q in ASK[ability](scene, rng) if q.level <= hardest and answerable(q)]
        if candidates:
            open_to_ask[ability] = candidates
    chosen: list[Question] = []
    room = {ability: max(1, round(_LARGEST_SHARE * params.turns)) for ability in open_to_ask}
    room["box"] = params.boxes_per_row
    while open_to_ask and len(chosen) < params.turns:
        abilities = tuple(open_to_ask)
        ability = rng.choices(abilities, [params.abilities[name] for name in abilities])[0]
        question = balancer.pick(open_to_ask[ability], rng) if room[ability] else None
        if question is None:
            del open_to_ask[ability]
            continue
        room[ability] -= 1
        chosen.append(question)
        rest = [other for other in open_to_ask[ability] if other.text != question.text]
        if rest:
            open_to_ask[ability] = rest
        else:
            del open_to_ask[ability]
    return chosen


def _row(index: int, questions: list[Question], params: SceneParams) -> dict[str, Any]:
    turns = []
    for question in questions:
        benchmark = benchmark_of(question.ability)
        turns.append({"from": "human", "value": prompt(benchmark, question.text, params.prompts)})
        turns.append({"from": "gpt", "value": reply(benchmark, answer_text(question))})
    turns[0]["value"] = f"<image>\n{turns[0]['value']}"
    return {"id": image_stem("train", index), "image": image_name("train", index), "conversations": turns}
