"""The weights that come with the tiny backbones: there by default, small, refused where they do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from cobra_kit.errors import WeightsError
from cobra_kit.interfaces import Backbone
from cobra_kit.recipe import load_recipe, resolve_arms
from cobra_kit.text.tokenizer import END_OF_TEXT, small_tokenizer
from cobra_kit.text.vocabulary import vocabulary_digest
from cobra_kit.train.backbones import build_model, load_backbone_recipe
from cobra_kit.weights import load_metadata, load_tensors, save_tensors
from cobra_kit_mamba import config as mamba_config
from cobra_kit_mamba import pretrained as mamba_place
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_scenes.backbones.probe import TextProbes, probe_texts
from cobra_kit_scenes.params import SceneParams
from cobra_kit_transformer import backbone as transformer_place
from cobra_kit_transformer import config as transformer_config
from cobra_kit_transformer.backbone import GptNeoxBackbone


@dataclass(frozen=True)
class Family:
    name: str
    build_class: type[Backbone]
    place: ModuleType
    tiny: Callable[..., Any]
    base: Callable[..., Any]
    chat: Callable[..., Any]
    wider: dict[str, int]

    def file(self, kind: str) -> Path:
        return Path(self.place.PACKAGED) / f"tiny_{kind}.safetensors"


FAMILIES = (
    Family(
        "mamba",
        MambaBackbone,
        mamba_place,
        mamba_config.MambaTinyConfig,
        mamba_config.MambaTinyBaseConfig,
        mamba_config.MambaTinyChatConfig,
        {"d_model": 64},
    ),
    Family(
        "transformer",
        GptNeoxBackbone,
        transformer_place,
        transformer_config.TransformerTinyConfig,
        transformer_config.TransformerTinyBaseConfig,
        transformer_config.TransformerTinyChatConfig,
        {"hidden_size": 64},
    ),
)


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    chosen: Family = request.param
    return chosen


@pytest.fixture
def folder(family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "weights"
    shutil.copytree(family.place.PACKAGED, copy)
    monkeypatch.setattr(family.place, "PACKAGED", copy)
    return copy


def build(family: Family, config: Any, seed: int = 0) -> Backbone:
    backbone = family.build_class(config)  # type: ignore[call-arg]
    backbone.reset_parameters(torch.Generator().manual_seed(seed))
    backbone.load_pretrained()
    return backbone


@pytest.mark.parametrize("kind", ["base", "chat"])
def test_a_file_is_small_and_has_a_card(family: Family, kind: str) -> None:
    file = family.file(kind)
    assert file.stat().st_size <= 2_000_000
    header = load_metadata(file)
    assert (header["component"], header["recipe"]) == (f"{family.name}/tiny", f"{family.name}_tiny_{kind}")
    assert header["vocabulary"] == vocabulary_digest(small_tokenizer())
    card = file.with_suffix(".CARD.md").read_text(encoding="utf-8")
    for part in ("Objective", "Data", "Cost", "Probes", "Licence", f"cobra-kit pretrain backbones/{family.name}_tiny"):
        assert part in card
    assert f"{file.stat().st_size:,} bytes" in card


def test_they_are_the_default_and_do_not_depend_on_the_seed(family: Family) -> None:
    first, second = (build(family, family.chat(), seed).state_dict() for seed in (0, 1))
    stored = load_tensors(family.file("chat"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert all(torch.equal(value.float(), first[name]) for name, value in stored.items())
    base = build(family, family.base()).state_dict()
    assert not all(torch.equal(value, base[name]) for name, value in first.items())


def test_models_that_begin_with_either_differ_in_weights_alone(family: Family) -> None:
    settings = [config().model_dump(exclude={"weights"}) for config in (family.tiny, family.base, family.chat)]
    assert settings[0] == settings[1] == settings[2]


def test_the_tiny_config_builds_without_weights(family: Family, folder: Path) -> None:
    shutil.rmtree(folder)
    for config in (family.base, family.chat):
        assert config.tiny().weights == "none"  # type: ignore[attr-defined]
        build(family, config.tiny())  # type: ignore[attr-defined]


def test_a_missing_file_is_named(family: Family, folder: Path) -> None:
    (folder / "tiny_base.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"tiny_base\.safetensors: the weights that come .* are missing") as caught:
        build(family, family.base())
    assert "Install the package again, or use weights: none (random)." in str(caught.value)
    build(family, family.chat())


def test_a_damaged_file_is_named(family: Family, folder: Path) -> None:
    content = bytearray((folder / "tiny_chat.safetensors").read_bytes())
    content[-1000] ^= 1
    (folder / "tiny_chat.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"tiny_chat\.safetensors: the checkpoint is .*damaged.*digest differs") as c:
        build(family, family.chat())
    assert "Install the package again" in str(c.value)
    (folder / "tiny_chat.safetensors").write_bytes(content[:-100])
    with pytest.raises(WeightsError, match=r"tiny_chat\.safetensors: the checkpoint is truncated or damaged"):
        build(family, family.chat())


def test_other_sizes_have_no_weights(family: Family) -> None:
    for change in (family.wider, {"vocab_size": 2000}):
        with pytest.raises(WeightsError, match=r"tiny_chat\.safetensors: the checkpoint does not fit") as caught:
            build(family, family.chat(**change))
        assert "fit the default sizes only; with other sizes use weights: none" in str(caught.value)
        assert "in the checkpoint, [" in str(caught.value)
    build(family, family.chat(**family.wider, weights="none"))


def test_a_file_of_another_vocabulary_is_refused(family: Family, folder: Path) -> None:
    file = folder / "tiny_base.safetensors"
    save_tensors(file, load_tensors(file), load_metadata(file) | {"vocabulary": "0123456789abcdef"})
    with pytest.raises(WeightsError, match=r"tiny_base\.safetensors: .* trained with another vocabulary") as caught:
        build(family, family.base())
    assert "weights: none (random) with this one" in str(caught.value)
    save_tensors(file, load_tensors(file), {})
    build(family, family.base())


def test_another_tokenizer_of_the_same_size_is_refused(tmp_path: Path) -> None:
    texts = [END_OF_TEXT, *(f"w{number}" for number in range(1, small_tokenizer().vocab_size))]
    path = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer(WordLevel({text: number for number, text in enumerate(texts)}, unk_token=END_OF_TEXT))
    tokenizer.add_special_tokens([END_OF_TEXT])
    tokenizer.save(str(path))
    (mamba, _) = FAMILIES
    with pytest.raises(WeightsError, match="trained with another vocabulary") as caught:
        build(mamba, mamba.chat(tokenizer=str(path)))
    assert "Use the component's own tokenizer" in str(caught.value)
    build(mamba, mamba.chat(tokenizer=str(path), weights="none"))


def test_the_plain_one_comes_without_weights_and_says_who_has_some(family: Family) -> None:
    with pytest.raises(WeightsError, match=r"no weights of the kind 'packaged'|comes without weights") as caught:
        build(family, family.tiny(weights="packaged"))
    assert f"{family.name}/tiny-base" in str(caught.value)
    assert f"{family.name}/tiny-chat" in str(caught.value)


def test_it_says_which_file_it_reads(family: Family) -> None:
    for kind, config in (("base", family.base), ("chat", family.chat)):
        (named,) = family.build_class.pretrained_files(config())
        assert (named.repository, named.file) == (None, str(family.file(kind)))
        assert family.build_class.pretrained_files(config(weights="none")) == ()
    assert family.build_class.pretrained_files(family.tiny(weights="packaged")) == ()


def test_they_have_read_passages(family: Family) -> None:
    probes = _probe(family, "base", "train.pretrain_text=null")
    assert probes.perplexity < 2, "their cards say 1.8; random weights have hundreds"


@pytest.mark.parametrize(
    ("family", "least"), list(zip(FAMILIES, (0.97, 0.7), strict=True)), ids=["mamba", "transformer"]
)
def test_those_for_chat_find_the_asked_for_color_in_a_description(family: Family, least: float) -> None:
    probes = _probe(family, "chat", "train.pretrain_text=null", "train.instruct_text=null")
    colors = next(probe for probe in probes.abilities if probe.ability == "color")
    assert colors.accuracy >= least, "their cards say 100 and 79 percent"


def _probe(family: Family, kind: str, *without: str) -> TextProbes:
    use = (f"backbone.use={family.name}/tiny-{kind}", "backbone.weights=packaged")
    plan = load_backbone_recipe(f"backbones/{family.name}_tiny_{kind}", overrides=(*without, *use))
    return probe_texts(build_model(plan), SceneParams(seed=5, train=60, val=0, test=0))


@pytest.mark.parametrize(
    ("recipe", "arms"),
    [
        ("ablation_llm_init", {"chat": "mamba/tiny-chat", "base": "mamba/tiny-base", "none": "mamba/tiny"}),
        ("ablation_backbone", {"mamba": "mamba/tiny-chat", "transformer": "transformer/tiny-chat"}),
    ],
)
def test_the_laptops_ablations_begin_with_them(recipe: str, arms: dict[str, str]) -> None:
    resolved = {
        name: arm.parts["backbone"] for name, arm in resolve_arms(load_recipe(recipe, profile="laptop")).items()
    }
    assert {name: part.component.qualified for name, part in resolved.items()} == arms
    kinds = {name: part.config.weights for name, part in resolved.items()}
    assert kinds == {name: "none" if use == "mamba/tiny" else "packaged" for name, use in arms.items()}
    if recipe == "ablation_llm_init":
        settings = [part.config.model_dump(exclude={"weights"}) for part in resolved.values()]
        assert all(other == settings[0] for other in settings)
