"""Where the tokenizer of a published model is found, and what it makes of the prompts."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from string import ascii_uppercase

import pytest

from cobra_kit import weights as weights_module
from cobra_kit.errors import TextError, WeightsError
from cobra_kit.interfaces import IGNORE_INDEX, TextCodec
from cobra_kit.text.encode import encode_conversation
from cobra_kit.text.pretrained import GPT_NEOX_20B, find_tokenizer, pretrained_codec, read_tokenizer
from cobra_kit.text.templates import BaseTemplate, ChatTemplate
from cobra_kit.text.tokenizer import SMALL_TOKENIZER_FILE, small_tokenizer

DATA = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
NEOX = DATA / "20B_tokenizer.json"
GOLDEN = Path(__file__).parents[2] / "golden"
SMALL = Path(str(files("cobra_kit.text").joinpath(SMALL_TOKENIZER_FILE)))
TEMPLATES = {"chat": ChatTemplate(), "base": BaseTemplate()}

needs_neox = pytest.mark.skipif(
    not NEOX.exists(), reason="needs 20B_tokenizer.json (GPT-NeoX) in the folder COBRA_KIT_TEST_DATA"
)


@cache
def neox_codec(template: str) -> TextCodec:
    return pretrained_codec(TEMPLATES[template], 2048, weights="hub", tokenizer=str(NEOX), where="a test")


def golden_ids() -> dict[str, list[list[int]]]:
    lines = (GOLDEN / "token_ids" / "gpt_neox_20b.txt").read_text(encoding="utf-8").splitlines()
    return {name: json.loads(ids) for name, ids in (line.split(maxsplit=1) for line in lines if line[0] != "#")}


def golden_turns(case: str) -> list[tuple[str, str | None]]:
    lines = (GOLDEN / "templates" / f"{case}.txt").read_text(encoding="utf-8").splitlines()
    return [(q, a) for q, a in json.loads(next(line.split(maxsplit=1)[1] for line in lines if line[:5] == "turns"))]


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def hub_folder(repository: str, **_: object) -> Path:
        raise WeightsError(f"wanted files of {repository}, and the network may not be used")

    monkeypatch.setattr(weights_module, "hub_folder", hub_folder)


def folder_with_tokenizer(folder: Path, *parts: str) -> Path:
    folder = folder.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SMALL, folder / "tokenizer.json")
    return folder


@needs_neox
@pytest.mark.parametrize("case", sorted(golden_ids()))
def test_ids_of_the_prompts_equal_golden(case: str) -> None:
    turns, expected = golden_turns(case), golden_ids()[case]
    generation = turns[-1][1] is None
    row = encode_conversation(turns, neox_codec(case.split("_")[0]), num_images=0, for_generation=generation)
    assert list(row.ids) == list(chain.from_iterable(expected))
    labels = [[IGNORE_INDEX] * len(ids) if number % 2 == 0 else ids for number, ids in enumerate(expected)]
    assert list(row.labels) == list(chain.from_iterable(labels))


def test_golden_ids_cover_every_golden_text() -> None:
    assert set(golden_ids()) == {path.stem for path in (GOLDEN / "templates").glob("*.txt")}


@needs_neox
@pytest.mark.parametrize("template", TEMPLATES)
def test_choices_are_single_first_tokens_as_the_papers_harness_asserts(template: str) -> None:
    # PAPER.md 4: the harness asserts at model build that the bare words are single tokens.
    codec, first = neox_codec(template), set()
    words = ["True", "False", "Yes", "No", *ascii_uppercase]
    prompt = encode_conversation([("Is it so?", None)], codec, num_images=0, for_generation=True)
    for word in words:
        assert len(codec.tokenizer.encode(word)) == 1
        row = encode_conversation([("Is it so?", word)], codec, num_images=0)
        assert row.ids == (*prompt.ids, *codec.tokenizer.encode(word), codec.tokenizer.eos_id)
        assert row.answer_start == len(prompt.ids)
        first.add(row.ids[row.answer_start])
    assert len(first) == len(words)


@needs_neox
def test_ids_equal_those_of_transformers() -> None:
    import transformers

    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(NEOX))
    ours = read_tokenizer(NEOX)
    for text in (
        "Describe the image specifically",
        "  two  blanks\n\ttab",
        "naïve 🦎 日本語",
        "<|endoftext|>\n[0.12, 0.5]",
    ):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


def test_what_the_recipe_names_comes_first(tmp_path: Path, no_hub: None) -> None:
    beside, named = folder_with_tokenizer(tmp_path, "weights"), folder_with_tokenizer(tmp_path, "named")
    for given in (named, named / "tokenizer.json"):
        path = find_tokenizer(weights=str(beside), tokenizer=str(given), where="a test")
        assert path == named / "tokenizer.json"


@pytest.mark.parametrize("weights", ["", "model.safetensors"], ids=["folder", "file"])
def test_the_folder_of_the_weights_comes_second(tmp_path: Path, no_hub: None, weights: str) -> None:
    folder = folder_with_tokenizer(tmp_path)
    (folder / "model.safetensors").touch()
    assert find_tokenizer(weights=str(folder / weights), where="a test") == folder / "tokenizer.json"


@pytest.mark.parametrize("weights", ["hub", "none", "packaged", "FOLDER"])
def test_the_hub_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    asked: list[object] = []

    def hub_folder(repository: str, *, patterns: tuple[str, ...], where: str) -> Path:
        asked.extend([repository, patterns[0], where])
        return folder_with_tokenizer(tmp_path, "hub")

    monkeypatch.setattr(weights_module, "hub_folder", hub_folder)
    (tmp_path / "FOLDER").mkdir()
    weights = str(tmp_path / weights) if weights == "FOLDER" else weights
    assert find_tokenizer(weights=weights, where="a test") == tmp_path / "hub" / "tokenizer.json"
    assert asked == [GPT_NEOX_20B, "tokenizer.json", "a test"]


def test_nowhere(tmp_path: Path, no_hub: None) -> None:
    with pytest.raises(TextError) as caught:
        find_tokenizer(weights=str(tmp_path), where="mamba/2.8b: tokenizer")
    assert caught.value.message == (
        f"no tokenizer: there is no tokenizer.json beside the weights {tmp_path}, and "
        "wanted files of EleutherAI/gpt-neox-20b, and the network may not be used"
    )
    assert caught.value.where == "mamba/2.8b: tokenizer"
    assert "tokenizer: PATH/tokenizer.json" in str(caught.value.hint)


def test_hub_repository_without_a_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "hub_folder", lambda repository, **_: tmp_path)
    with pytest.raises(TextError, match=r"the hub repository someone/model has no tokenizer\.json"):
        find_tokenizer(weights="hub", repository="someone/model", where="a test")


def test_a_named_tokenizer_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"no such tokenizer: 'gpt-neox' is neither a file nor a folder"):
        find_tokenizer(weights="hub", tokenizer="gpt-neox", where="a test")
    (tmp_path / "tokenizer.model").touch()
    with pytest.raises(TextError, match=r"holds no tokenizer\.json, only tokenizer\.model\n.*or a folder with one"):
        find_tokenizer(weights="hub", tokenizer=str(tmp_path), where="a test")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", {"eos_token": "Yes"}),
        ("tokenizer_config.json", {"eos_token": {"content": "Yes", "lstrip": False}}),
        ("special_tokens_map.json", {"eos_token": "Yes"}),
    ],
)
def test_end_of_text_is_what_the_files_beside_declare(tmp_path: Path, name: str, content: object) -> None:
    folder = folder_with_tokenizer(tmp_path)
    assert read_tokenizer(folder / "tokenizer.json").eos_id == 0
    (folder / name).write_text(json.dumps(content))
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    assert [tokenizer.eos_id] == small_tokenizer().encode("Yes")
    assert read_tokenizer(folder / "tokenizer.json", "<|endoftext|>").eos_id == 0


def test_damaged_declaration(tmp_path: Path) -> None:
    folder = folder_with_tokenizer(tmp_path)
    (folder / "tokenizer_config.json").write_text("[1")
    with pytest.raises(TextError, match=r"tokenizer_config\.json: line 1, column 3: not JSON"):
        read_tokenizer(folder / "tokenizer.json")
    with pytest.raises(TextError, match=r"none\.json: the tokenizer file cannot be read"):
        read_tokenizer(tmp_path / "none.json")


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    file = folder_with_tokenizer(tmp_path) / "tokenizer.json"
    first = read_tokenizer(file)
    assert read_tokenizer(file) is first
    os.utime(file, ns=(1, 1))
    assert read_tokenizer(file) is not first
    assert read_tokenizer(file) == first


def test_codec_is_picklable(tmp_path: Path) -> None:
    folder = folder_with_tokenizer(tmp_path)
    codec = pretrained_codec(ChatTemplate(), 99, weights=str(folder), where="a test")
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert codec == TextCodec(small_tokenizer(), ChatTemplate(), 99)


def test_import_is_free_of_torch() -> None:
    code = "import sys; from cobra_kit.text import pretrained; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
