"""The probes: what is asked was never read, and is scored letter by letter against the most frequent answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cobra_kit.model import VisionLanguageModel
from cobra_kit.train.backbones import build_model, load_backbone_recipe
from cobra_kit_scenes.backbones.probe import probe_texts
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.splits import scene_of, split_of
from cobra_kit_scenes.texts import conversations, passages

PARAMS = SceneParams(seed=3, train=30, val=0, test=0)
RECIPE = """\
backbone: {use: mamba/tiny, d_model: 16, n_layer: 1, d_state: 4, weights: none}
data: {}
train: {}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> VisionLanguageModel:
    file = tmp_path_factory.mktemp("probe") / "mine.yaml"
    file.write_text(RECIPE)
    return build_model(load_backbone_recipe(Path(file)))


def answering(model: VisionLanguageModel, right: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes the model answer questions of one ability rightly and all others with a blank; returns what is asked."""
    known = {}
    for row in conversations(PARAMS, "val"):
        description, _, first = row.turns[0][0].partition("\n")
        for number, (kind, (prompt, answer)) in enumerate(zip(row.kinds, row.turns, strict=True)):
            known[f"{description}\n{prompt if number else first}"] = answer if kind == right else ""
    asked: list[str] = []

    def generate(images: object, questions: Sequence[str], **options: Any) -> list[str]:
        asked.extend(questions)
        return [known[question] for question in questions]

    monkeypatch.setattr(model, "generate", generate)
    return asked


def test_each_ability_is_scored_by_itself(model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(model, "color", monkeypatch)
    probes = {probe.ability: probe for probe in probe_texts(model, PARAMS).abilities}
    assert probes["color"].accuracy == 1.0
    assert {probe.accuracy for name, probe in probes.items() if name != "color"} == {0.0}
    assert sum(probe.questions for probe in probes.values()) == len(asked)
    true = Counter(
        answer
        for row in conversations(PARAMS, "val")
        for kind, (_, answer) in zip(row.kinds, row.turns, strict=True)
        if kind == "presence"
    )
    assert probes["presence"].chance == max(true.values()) / true.total()


def test_every_question_has_its_description_in_front(
    model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(model, "color", monkeypatch)
    probe_texts(model, PARAMS)
    for question in asked:
        description, _, prompt = question.partition("\n")
        assert description.endswith(".")
        assert prompt


def test_what_is_asked_is_of_a_split_that_is_not_read() -> None:
    few = PARAMS.model_copy(update={"train": 5})
    held_out = [row.row_id for rows in (conversations(few, "val"), passages(few, "val")) for row in rows]
    assert held_out
    read = {row.row_id for rows in (conversations(few), passages(few)) for row in rows}
    assert not read & set(held_out)
    assert {split_of(scene_of(few.seed, "val", index)) for index in range(5)} == {"val"}


def test_perplexity_is_that_of_the_passages(model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(model, "color", monkeypatch)
    probes = probe_texts(model, PARAMS)
    # As many tokens as the passages have, but for the first of each, which nothing predicts; the end is predicted.
    encode = model.processor.codec.tokenizer.encode
    tokens = sum(len(encode(row.turns[0][1])) for row in passages(PARAMS, "val"))
    assert abs(probes.tokens - tokens) <= 2 * 30
    assert 100 < probes.perplexity < 10_000
