"""A whole pretraining run of a backbone, small: repeatable, resumable, one file; and what its recipe may say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from cobra_kit.errors import RecipeError, TextError, TrainingError, WeightsError
from cobra_kit.events import Event, Message, StepDone
from cobra_kit.model import compose
from cobra_kit.recipe.locate import builtin_recipes, pretraining_recipes
from cobra_kit.text.tokenizer import small_tokenizer
from cobra_kit.text.vocabulary import vocabulary_digest
from cobra_kit.train.backbones import (
    BackbonePlan,
    PretrainedBackbone,
    build_model,
    card_figures,
    load_backbone_recipe,
    pretrain_backbone,
    pretraining,
    save_backbone,
)
from cobra_kit.train.checkpoint import Checkpoints
from cobra_kit.train.loop import TrainIntervals
from cobra_kit.weights import load_metadata, load_tensors, save_tensors
from cobra_kit_scenes.backbones.recipe import TextsSection
from cobra_kit_scenes.backbones.texts import TextSource

RECIPE = """\
backbone: {use: mamba/tiny, d_model: 16, n_layer: 1, d_state: 4, weights: none}
data: {passages: 30, conversations: 30, seed: 1, probe: 4}
train:
  pretrain_text: {steps: 4, batch_size: 4, learning_rate: 1.0e-2}
  instruct_text: {steps: 3, batch_size: 4, learning_rate: 1.0e-2, loss_unit: answer}
"""


def plan(tmp_path: Path, *overrides: str, text: str = RECIPE) -> BackbonePlan:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return load_backbone_recipe(file, overrides=overrides)


def same(first: PretrainedBackbone, second: PretrainedBackbone) -> bool:
    """Returns whether all weights have equal bits: one process, as many threads, the same operations."""
    other = second.backbone.state_dict()
    return all(torch.equal(value, other[name]) for name, value in first.backbone.state_dict().items())


def test_it_learns_and_repeats(tmp_path: Path) -> None:
    events: list[Event] = []
    chosen = plan(tmp_path)
    first = pretrain_backbone(chosen, report=events.append)
    start = build_model(chosen).backbone.state_dict()
    assert not all(torch.equal(value.half(), start[name].half()) for name, value in first.backbone.state_dict().items())
    assert [(stage.stage, stage.steps) for stage in first.stages] == [("pretrain_text", 4), ("instruct_text", 3)]
    assert [event.stage for event in events if isinstance(event, StepDone)] == ["pretrain_text", "instruct_text"]
    assert same(first, pretrain_backbone(chosen))
    assert not same(first, pretrain_backbone(plan(tmp_path, "train.seed=1")))
    assert first.vocabulary == vocabulary_digest(small_tokenizer())


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, folder = plan(tmp_path), tmp_path / "mine.resume"
    whole = pretrain_backbone(chosen)
    real = Checkpoints.save

    def die_in_the_second_stage(self, name, *arguments, **options):  # type: ignore[no-untyped-def]
        real(self, name, *arguments, **options)
        if name.endswith("instruct_text-00000002"):
            raise KeyboardInterrupt

    with monkeypatch.context() as every_step:
        every_step.setattr(pretraining, "INTERVALS", TrainIntervals(save_seconds=0))
        every_step.setattr(Checkpoints, "save", die_in_the_second_stage)
        with pytest.raises(KeyboardInterrupt):
            pretrain_backbone(chosen, resume=folder)
    with pytest.raises(TrainingError, match=r"mine\.resume: an unfinished run of another recipe"):
        pretrain_backbone(plan(tmp_path, "train.instruct_text.steps=5"), resume=folder)
    events: list[Event] = []
    assert same(whole, pretrain_backbone(chosen, resume=folder, report=events.append))
    assert {event.stage for event in events if isinstance(event, StepDone)} == {"instruct_text"}
    assert not folder.exists()


def test_without_stages_it_only_probes(tmp_path: Path) -> None:
    events: list[Event] = []
    chosen = plan(tmp_path, "train.pretrain_text=null", "train.instruct_text=null")
    result = pretrain_backbone(chosen, report=events.append)
    assert result.stages == ()
    assert result.seconds == 0
    assert [event.text for event in events if isinstance(event, Message)] == ["probing"]
    assert 100 < result.probes.perplexity < 10_000, "random weights have about one chance in 960 ids"


def test_the_file_holds_float16_and_tied_weights_once(tmp_path: Path) -> None:
    chosen = plan(tmp_path, "train.instruct_text=null")
    result, file = pretrain_backbone(chosen), tmp_path / "tiny.safetensors"
    save_backbone(file, result, chosen)
    tensors, trained = load_tensors(file), result.backbone.state_dict()
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert set(trained) - set(tensors) == {"lm_head.weight"}
    assert all(torch.equal(value.float(), trained[name]) for name, value in tensors.items()), "probes tell of the file"
    header = load_metadata(file)
    assert (header["component"], header["recipe"]) == ("mamba/tiny", "mine")
    assert header["vocabulary"] == result.vocabulary
    settings = json.loads(header["settings"])
    assert (settings["d_model"], settings["n_layer"]) == (16, 1)
    assert "weights" not in settings
    again = build_model(plan(tmp_path, f"backbone.weights={file}")).backbone.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in trained.items())


def test_the_card_has_what_only_the_run_can_tell(tmp_path: Path) -> None:
    chosen, file = plan(tmp_path), tmp_path / "tiny.safetensors"
    result = pretrain_backbone(chosen)
    save_backbone(file, result, chosen)
    card = "\n".join(card_figures(chosen, result, file, "cobra-kit pretrain mine.yaml"))
    assert f"`tiny.safetensors`, {file.stat().st_size:,} bytes, float16" in card
    assert "`cobra-kit pretrain mine.yaml` (recipe `mine`, seed 0)" in card
    assert "- `instruct_text`: 30 rows, 3 steps of 4 (0.4 passes" in card
    for heading in ("## Made with", "## Data", "## Cost", "## Probes"):
        assert heading in card
    assert f"| color | {100 * result.probes.abilities[0].accuracy:.1f} |" in card


def test_weights_beyond_float16_are_refused(tmp_path: Path) -> None:
    file, stages = tmp_path / "huge.safetensors", ("train.pretrain_text=null", "train.instruct_text=null")
    tensors = dict(build_model(plan(tmp_path)).backbone.state_dict())
    save_tensors(file, tensors | {"backbone.norm_f.weight": torch.full_like(tensors["backbone.norm_f.weight"], 1e6)})
    with pytest.raises(WeightsError, match=r"backbone\.norm_f\.weight does not fit float16"):
        pretrain_backbone(plan(tmp_path, f"backbone.weights={file}", *stages))


def test_random_weights_are_those_of_a_composed_model(tmp_path: Path) -> None:
    chosen = plan(tmp_path, "train.seed=5")
    settings = [f"model.backbone.{key}={value}" for key, value in (("d_model", 16), ("n_layer", 1), ("d_state", 4))]
    composed = compose("cobra_tiny", overrides=["model.backbone.use=mamba/tiny", *settings], seed=5).backbone
    own = build_model(chosen).backbone.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in composed.state_dict().items())


def test_an_image_is_refused(tmp_path: Path) -> None:
    model = build_model(plan(tmp_path))
    with pytest.raises(TextError, match="reads text alone, and was given a picture"):
        model.generate(Image.new("RGB", (8, 8)), "What is this?")


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere/mine\.resume: cannot be written") as caught:
        pretrain_backbone(plan(tmp_path), resume=tmp_path / "nowhere" / "mine.resume")
    assert "--out" in str(caught.value)


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="of pretrain_text"):
        pretrain_backbone(plan(tmp_path, "train.pretrain_text.learning_rate=1.0e+38"))


def test_the_texts_name_themselves(tmp_path: Path) -> None:
    few, more = TextsSection(passages=3, conversations=2), TextsSection(passages=4, conversations=2)
    assert TextSource(few).fingerprint != TextSource(more).fingerprint
    assert TextSource(few).fingerprint == TextSource(few.model_copy()).fingerprint
    assert [len(TextSource(few).text_rows(form)) for form in ("passages", "conversations")] == [3, 2]
    kinds = {kind for row in TextSource(few).text_rows("conversations") for kind in row.kinds}
    assert kinds <= {"attribute", "count", "presence", "spatial", "reading", "boxes"}, "as a curriculum names them"


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("d_model: 16", "d_modle: 16", "mine.yaml:1", "did you mean backbone.d_model?"),
        ("seed: 1", "sede: 1", "mine.yaml:2", "did you mean data.seed"),
        ("probe: 4", "probe: 4, abilities: {}", "mine.yaml:2", "at least one ability needs a weight above 0"),
        ("probe: 4", "probe: 4, abilities: {colour: 1.0}", "mine.yaml:2", "'color'"),
        ("steps: 4", "steps: four", "mine.yaml:4", "expected an integer"),
        (
            "passages: 30",
            "passages: 0",
            "mine.yaml",
            "train.pretrain_text learns from passages, and data.passages is 0",
        ),
        ("conversations: 30", "conversations: 0", "mine.yaml", "data.conversations is 0"),
    ],
)
def test_mistakes_are_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, where: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        plan(tmp_path, text=RECIPE.replace(old, new))
    assert where in str(caught.value)
    assert message in str(caught.value)


def test_shipped_recipes_hold_and_read_the_same_texts() -> None:
    names = {name for name in pretraining_recipes() if name.startswith("backbones/")}
    families = ("mamba", "transformer")
    assert names == {f"backbones/{family}_tiny_{kind}" for family in families for kind in ("base", "chat")}
    assert not names & set(builtin_recipes())
    plans = {name.removeprefix("backbones/"): load_backbone_recipe(name) for name in names}
    for kind in ("base", "chat"):
        mamba, transformer = (plans[f"{family}_tiny_{kind}"].recipe for family in families)
        assert (mamba.data, mamba.train) == (transformer.data, transformer.train)
        assert mamba.title
    base, chat = (plans[f"mamba_tiny_{kind}"].recipe for kind in ("base", "chat"))
    assert base.train.instruct_text is None
    assert chat.train.pretrain_text == base.train.pretrain_text, "the chat model begins as the base model"
