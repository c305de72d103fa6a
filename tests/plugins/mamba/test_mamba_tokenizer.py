"""Which tokenizer a Mamba component gets."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from cobra_kit.errors import TextError
from cobra_kit.text.templates import BaseTemplate, ChatTemplate
from cobra_kit.text.tokenizer import small_tokenizer
from cobra_kit_mamba import config as configs
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.mamba2 import Mamba2Backbone
from cobra_kit_mamba.mamba2_config import MambaTwo130mConfig, MambaTwoTinyConfig

DATA = Path(os.environ.get("COBRA_KIT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
NEOX = DATA / "20B_tokenizer.json"


@pytest.mark.skipif(not NEOX.exists(), reason="needs 20B_tokenizer.json (GPT-NeoX) in the folder COBRA_KIT_TEST_DATA")
def test_full_sizes_get_their_tokenizer_and_template(tmp_path: Path) -> None:
    shutil.copy(NEOX, tmp_path / "tokenizer.json")
    for component, template in (
        (configs.Mamba2800mSlimpjConfig, BaseTemplate),
        (configs.Mamba2800mZephyrConfig, ChatTemplate),
        (configs.Mamba7bConfig, BaseTemplate),
    ):
        named = MambaBackbone.text_codec(component(tokenizer=str(NEOX)))
        beside = MambaBackbone.text_codec(component(weights=str(tmp_path)))
        assert named == beside
        assert isinstance(named.template, template)
        assert (named.tokenizer.vocab_size, named.tokenizer.eos_id, named.max_text_tokens) == (50277, 0, 2048)
    assert Mamba2Backbone.text_codec(MambaTwo130mConfig(tokenizer=str(NEOX))).tokenizer == named.tokenizer


def test_tiny_ones_get_the_small_tokenizer() -> None:
    codec = Mamba2Backbone.text_codec(MambaTwoTinyConfig())
    assert codec.tokenizer is small_tokenizer()
    assert isinstance(codec.template, ChatTemplate)


def test_without_a_network_it_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TextError) as caught:
        MambaBackbone.text_codec(configs.Mamba2800mZephyrConfig())
    text = str(caught.value)
    assert text.startswith("xiuyul/mamba-2.8b-zephyr: tokenizer: gpt-neox-20b: no tokenizer: wanted tokenizer.json")
    assert "tokenizer: PATH/tokenizer.json" in text


def test_more_ids_than_rows(tmp_path: Path) -> None:
    definition = json.loads(small_tokenizer()._tokenizer.to_str())
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    config = MambaConfig(d_model=16, n_layer=1, vocab_size=300, tokenizer=str(tmp_path), weights="none")
    with pytest.raises(TextError, match=rf"has {small_tokenizer().vocab_size} ids, the embedding 304 rows"):
        MambaBackbone.text_codec(config)
