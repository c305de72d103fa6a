"""Which part a pretraining recipe makes is said by its one section; two, or none, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe.pretraining import pretrained_part

BACKBONE, ENCODER = "backbone: {use: mamba/tiny}", "vision_encoder: {use: siglip/tiny}"


def write(folder: Path, *lines: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text("\n".join(lines))
    return file


def test_the_section_decides(tmp_path: Path) -> None:
    assert pretrained_part("backbones/mamba_tiny_chat") == "backbone"
    assert pretrained_part("towers/siglip_tiny") == "vision_encoder"
    assert pretrained_part(write(tmp_path, BACKBONE)) == "backbone"


def test_none_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "title: nothing", "model: {}")
    with pytest.raises(RecipeError, match=r"mine\.yaml.*no section vision_encoder or backbone") as caught:
        pretrained_part(file)
    assert "`cobra-kit run`" in str(caught.value)
    assert "backbones/mamba_tiny_chat" in str(caught.value)


def test_both_are_refused_where_the_second_was_written(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"mine\.yaml:2: it has vision_encoder and backbone") as caught:
        pretrained_part(write(tmp_path, ENCODER, BACKBONE))
    assert "Make two recipes of it." in str(caught.value)
    with pytest.raises(RecipeError, match=r"--set backbone\.use=mamba/tiny: it has vision_encoder and backbone"):
        pretrained_part("towers/siglip_tiny", overrides=["backbone.use=mamba/tiny"])


def test_a_recipe_that_is_not_there_is_sought_among_those_that_pretrain() -> None:
    with pytest.raises(RecipeError, match="no recipe 'backbones/mamba_tiny_chta'") as caught:
        pretrained_part("backbones/mamba_tiny_chta")
    assert "backbones/mamba_tiny_chat" in str(caught.value)
