"""The recipe's section `data`: sources by name, their settings checked with file and line."""

from __future__ import annotations

import pytest
from toy_recipe import RECIPE

from cobra_kit.data.sources import open_source, source_settings
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe


@pytest.fixture
def with_data(toy_recipe):
    def load(text):
        toy_recipe.write_text(RECIPE + text)
        return load_recipe(toy_recipe)

    return load


def test_a_source_gets_its_settings(with_data, tmp_path):
    (settings,) = source_settings(with_data("data: {source: llava, rows: r.json, images: pictures}\n"))
    assert settings.model_dump(mode="json") == {
        "rows": "r.json",
        "images": "pictures",
        "captions": None,
        "quarantine": None,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"the recipe has no section `data`\n +Add, for example"),
        (
            "data: {source: lava}\n",
            r"toy.yaml:9: data.source: no data source named 'lava'\n +did you mean llava/rows\?",
        ),
        ("data: {source: llava, rows: a}\n", r"toy.yaml:9: data.images: is missing"),
        ("data: {source: llava, images: a,\n  row: b}\n", r"toy.yaml:10: data.row: unknown key"),
        ("data: {source: llava, images: a, rows: 3}\n", r"data.rows: expected .*found 3"),
    ],
)
def test_wrong_data_sections_are_refused_with_their_place(with_data, text, expected):
    with pytest.raises(RecipeError, match=expected):
        open_source(with_data(text))
