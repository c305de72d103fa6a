"""The sections about data, training and evaluation: defaults, order of stages, and what is refused."""

from __future__ import annotations

import pytest
from toy_components import WHOLE

from cobra_kit.recipe import load_recipe, resolve, resolve_arms

STAGE = "train:\n  finetune: {%s}\n"


def test_a_model_alone_is_a_recipe(write, registry):
    recipe = load_recipe(write(WHOLE), registry=registry)
    assert (recipe.data, recipe.train, recipe.evaluate) == (None, None, None)


def test_sections_are_read_with_their_defaults(write, registry):
    text = WHOLE + (
        "data: {source: scenes, turns: 8}\n"
        "train:\n  finetune: {epochs: 2}\n  align: {steps: 30, learning_rate: 1e-2, betas: [0.9, 0.95]}\n"
        "  full_finetune: null\n"
        "evaluate: {validation: {every_steps: 5}}\n"
    )
    recipe = load_recipe(write(text), registry=registry)
    assert recipe.data.settings() == {"turns": 8}
    stages = recipe.train.stages()
    assert list(stages) == ["align", "finetune"], "in the order they run, however they are written"
    assert stages["align"].learning_rate == 0.01
    assert stages["finetune"].batch_size == 16
    assert recipe.evaluate.validation.questions == 128
    again = load_recipe(write(resolve(recipe, registry).to_yaml(), "again.yaml"), registry=registry)
    assert again.train == recipe.train
    assert (again.data, again.evaluate) == (recipe.data, recipe.evaluate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STAGE % "epochs: 2, steps: 3", "train.finetune: expected either epochs or steps, found both"),
        (STAGE % "batch_size: 3", "train.finetune: expected either epochs or steps, found neither"),
        (STAGE % "steps: 0", "mine.yaml:8: train.finetune.steps: expected"),
        (STAGE % "epochs: 0", "train.finetune.epochs: expected"),
        (STAGE % "epochs: two", "train.finetune.epochs: expected a number"),
        (STAGE % "steps: 1, batch_size: 0", "train.finetune.batch_size: expected"),
        (STAGE % "steps: 1, batch_size: 4, micro_batch_size: 5", "expected micro_batch_size of at most batch_size"),
        (STAGE % "steps: 1, learning_rate: 0", "train.finetune.learning_rate: expected"),
        (STAGE % "steps: 1, weight_decay: -1", "train.finetune.weight_decay: expected"),
        (STAGE % "steps: 1, betas: [0.9, 1]", "train.finetune.betas.1: expected"),
        (STAGE % "steps: 1, warmup_ratio: 1.5", "train.finetune.warmup_ratio: expected"),
        (STAGE % "steps: 1, max_grad_norm: 0", "train.finetune.max_grad_norm: expected"),
        (STAGE % "steps: 1, lr: 1", "mine.yaml:8: train.finetune.lr: unknown key"),
        ("train: {finetuning: {steps: 1}}\n", "train.finetuning: unknown key\n       did you mean train.finetune?"),
        ("train: {}\n", "train: expected at least one stage: pretrain_text, instruct_text, align, finetune"),
        ("paper: {table: v4_table2, row: full}\n", "mine.yaml:7: paper.table: no paper table named 'v4_table2'"),
        (
            "paper: {table: v4_table5_ablation, row: ful}\n",
            "paper.row: v4_table5_ablation has no row 'ful'\n       did you mean full?",
        ),
        ("data: {}\n", "data.source: is missing"),
        ("evaluate: {benchmarks: presence}\n", "evaluate.benchmarks: expected a list"),
        ("evaluate: {validation: {every: 3}}\n", "evaluate.validation.every: unknown key"),
    ],
)
def test_wrong_sections_are_refused_with_their_place(refused, text, expected):
    assert expected in refused(WHOLE + text)


ARMS = """
ablation:
  factor: train.finetune.epochs
  reference: one
  arms:
    one: {}
    two: {train: {finetune: {epochs: 2}}}
"""


def test_arms_may_differ_in_training_if_the_factor_says_so(write, registry, refused):
    text = WHOLE + (STAGE % "epochs: 1")
    arms = resolve_arms(load_recipe(write(text + ARMS), registry=registry), registry)
    assert {name: arm.recipe.train.finetune.epochs for name, arm in arms.items()} == {"one": 1, "two": 2}
    other = ARMS.replace("epochs: 2}", "epochs: 2, batch_size: 4}")
    assert "arm 'two' has 4 but the reference 'one' has 16" in refused(text + other)
    assert "an arm cannot change this" in refused(text + ARMS.replace("{train: {finet", "{evaluate: {finet"))


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("  not_meaningful: {tow: why}\n", "ablation.not_meaningful.tow: no arm named 'tow'\n       did you mean two?"),
        ("  not_meaningful: {one: why}\n", "the reference must be run, or there is nothing to compare with"),
        ("  not_meaningful: {two: ''}\n", "ablation.not_meaningful.two: expected"),
        (
            "  paper: {table: v4_table5_ablation, rows: {one: full, two: w/ LPDv2}}\n",
            "ablation.paper.rows.two: v4_table5_ablation has no row 'w/ LPDv2'\n       did you mean w/ LDPv2?",
        ),
    ],
)
def test_what_an_ablation_says_about_its_arms_is_checked(refused, addition, expected):
    assert expected in refused(WHOLE + (STAGE % "epochs: 1") + ARMS + addition)
