"""A Hugging Face data set as training data: with the package where it is installed, and with a stand-in for it."""

from __future__ import annotations

import io
import sys
import types

import pytest
from PIL import Image as PillowImage

from cobra_kit.errors import DataError, PluginError
from cobra_kit_llava.config import DatasetSettings
from cobra_kit_llava.dataset_source import Dataset


def picture(colour):
    content = io.BytesIO()
    PillowImage.new("RGB", (4, 4), colour).save(content, "PNG")
    return content.getvalue()


ROWS = [
    {
        "image": {"bytes": picture((255, 0, 0)), "path": None},
        "conversations": [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "Red."}],
    },
    {"image": None, "conversations": {"role": ["user", "assistant"], "content": ["Hi", "Hello"]}},
    {"image": {"bytes": b"no image", "path": None}, "conversations": []},
]


class Table(list):
    """What `datasets` gives back, as far as it is used."""

    column_names = ("image", "conversations")

    @property
    def features(self):
        return {"image": ImageFeature()}

    def cast_column(self, name, feature):
        assert feature.decode is False
        return self


class ImageFeature:
    def __init__(self, decode=True):
        self.decode = decode


@pytest.fixture
def package(monkeypatch):
    module = types.ModuleType("datasets")
    module.Image, module.Sequence = ImageFeature, list
    module.asked = []
    module.load_dataset = lambda path, split: module.asked.append((path, split)) or Table(ROWS)
    module.load_from_disk = lambda path: module.asked.append(path) or {"train": Table(ROWS)}
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def test_rows_and_images_come_from_their_columns(package, tmp_path):
    source = Dataset.open(DatasetSettings(path=str(tmp_path)))
    assert [row.row_id for row in source.rows] == ["1", "2"]
    assert source.rows[1].turns == (("Hi", "Hello"),)
    assert source.image(source.rows[0].images[0]).getpixel((0, 0)) == (255, 0, 0)
    assert source.rejects.total == 1
    assert len(source.fingerprint) == 64
    assert package.asked == [(str(tmp_path), "train")]


def test_a_folder_that_was_saved_is_opened_as_such(package, tmp_path):
    (tmp_path / "dataset_dict.json").write_text("{}")
    assert len(Dataset.open(DatasetSettings(path=str(tmp_path))).rows) == 2
    with pytest.raises(DataError, match="no split 'test'; there are train"):
        Dataset.open(DatasetSettings(path=str(tmp_path), split="test"))


def test_a_missing_column_is_named_with_those_there_are(package, tmp_path):
    with pytest.raises(DataError, match="no column 'talk'; there are image, conversations"):
        Dataset.open(DatasetSettings(path=str(tmp_path), conversations="talk"))


def test_without_the_package_the_command_that_installs_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PluginError, match="not installed") as caught:
        Dataset.open(DatasetSettings(path=str(tmp_path)))
    assert caught.value.hint == "pip install 'cobra-kit[datasets]'"


def test_the_package_itself(tmp_path):
    datasets = pytest.importorskip("datasets", reason="the extra `datasets` is not installed")
    turns = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "Red."}]
    table = datasets.Dataset.from_dict(
        {"image": [PillowImage.new("RGB", (4, 4), (255, 0, 0))], "conversations": [turns]},
        features=datasets.Features(
            {
                "image": datasets.Image(),
                "conversations": [{"from": datasets.Value("string"), "value": datasets.Value("string")}],
            }
        ),
    )
    table.save_to_disk(str(tmp_path / "saved"))
    source = Dataset.open(DatasetSettings(path=str(tmp_path / "saved")))
    assert source.image(source.rows[0].images[0]).getpixel((0, 0)) == (255, 0, 0)
