"""Settings of one's own file that an inherited profile replaces: other data are refused, the rest is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.cli import main
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe


def write(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text)
    return file


def test_data_that_an_inherited_profile_would_replace_are_refused(tmp_path):
    file = write(tmp_path, "extends: ablation_projector\ndata: {source: llava, rows: r.json, images: i}\n")
    with pytest.raises(RecipeError) as error:
        load_recipe(file)
    assert "mine.yaml:2: data.source" in str(error.value)
    assert "replaces this data source" in str(error.value)
    assert "under profiles.laptop" in str(error.value)


def test_data_under_the_profile_are_read(tmp_path):
    data = "data: {source: llava, rows: r.json, images: i}"
    file = write(
        tmp_path, f"extends: ablation_projector\nprofiles: {{laptop: {{{data}, evaluate: {{benchmarks: []}}}}}}\n"
    )
    recipe = load_recipe(file)
    assert recipe.data is not None
    assert recipe.data.source == "llava"
    assert recipe.note is None


def test_other_settings_are_told(tmp_path, capsys):
    file = write(
        tmp_path, "extends: cobra_3b\nmodel: {projector: {use: ldpv2/fused}}\ntrain: {finetune: {epochs: 9}}\n"
    )
    recipe = load_recipe(file)
    assert recipe.train is not None
    note = recipe.note or ""
    assert note.startswith("not read, for the profile laptop says otherwise: ")
    assert "train.finetune.epochs (" in note
    assert "mine.yaml:3" in note
    assert main(["recipes", "validate", str(file)]) == 0
    assert "not read, for the profile laptop says otherwise" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cobra_8b", "ablation_projector", "baselines/llava_phi"])
def test_packaged_recipes_keep_their_paper_size_outside_of_profiles(name):
    assert load_recipe(name).note is None
