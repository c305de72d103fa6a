"""The tokenizer and the prompt template of a model: from its folder, a path, or the hub. No weights, no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cobra_kit.errors import TextError
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.templates import make_template
from cobra_kit.text.tokenizer import END_OF_TEXT, BpeTokenizer, small_tokenizer
from cobra_kit_transformer.architecture import hub_file, model_folder, source_of
from cobra_kit_transformer.hf_config import SMALL_TOKENIZER, DecoderConfig, HfConfig

_FILE = "tokenizer.json"
_ABOUT = "tokenizer_config.json"


def text_codec(config: DecoderConfig) -> TextCodec:
    """Returns tokenizer and template.

    Raises:
        TextError: The tokenizer cannot be found or read, or does not know its end of text.
        WeightsError: It is on the hub only, and the hub cannot be had.
    """
    if config.tokenizer == SMALL_TOKENIZER:
        return TextCodec(small_tokenizer(), make_template(config.template), config.max_text_tokens)
    file = _find(config)
    begin, end = _marks(config, file)
    tokenizer = BpeTokenizer.from_file(file, end)
    template = make_template(config.template, begin_of_text=begin, end_of_text=end, writes_blanks=_writes_blanks(file))
    return TextCodec(tokenizer, template, config.max_text_tokens)


def _find(config: DecoderConfig) -> Path:
    """Returns the `tokenizer.json`: the one that `tokenizer` names, else beside the weights, else on the hub."""
    if config.tokenizer is not None:
        return _in(Path(config.tokenizer).expanduser(), source_of(config))
    for folder in _local_folders(config):
        if (folder / _FILE).is_file():
            return folder / _FILE
    if isinstance(config, HfConfig):
        if config.model is None or model_folder(config):
            raise TextError(
                f"no {_FILE} beside the model",
                where=source_of(config),
                hint=f"Name one: tokenizer: PATH to a {_FILE} or a folder with it. {_HOW}",
            )
        return _in(hub_file(config, config.model, _FILE, _ABOUT), source_of(config))
    assert config.published is not None
    return _in(hub_file(config, config.published.tokenizer, _FILE, _ABOUT), source_of(config))


_HOW = (
    "A folder with tokenizer.model only becomes one with transformers and sentencepiece: "
    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
)


def _local_folders(config: DecoderConfig) -> list[Path]:
    folders = []
    if config.weights not in ("none", "hub"):
        weights = Path(config.weights).expanduser()
        folders.append(weights if weights.is_dir() else weights.parent)
    if isinstance(config, HfConfig) and (folder := model_folder(config)):
        folders.append(folder)
    return folders


def _in(path: Path, where: str) -> Path:
    file = path / _FILE if path.is_dir() else path
    if not file.is_file():
        hint = f"tokenizer is the path of a {_FILE} or of a folder with one. {_HOW}"
        raise TextError(f"no tokenizer at {file}", where=where, hint=hint)
    return file


def _marks(config: DecoderConfig, file: Path) -> tuple[str, str]:
    """Returns what stands before every text and what ends an answer."""
    if not isinstance(config, HfConfig):
        assert config.published is not None
        return config.published.begin_of_text, config.published.end_of_text
    about = _about(file.with_name(_ABOUT))
    said = _text(about.get("bos_token")) if about.get("add_bos_token") else ""
    begin = said if config.begin_of_text is None else config.begin_of_text
    return begin, config.end_of_text or _text(about.get("eos_token")) or END_OF_TEXT


def _about(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise TextError(f"cannot be read: {error}", where=str(file), hint="Fetch the file again.") from error
    return about if isinstance(about, dict) else {}


def _text(token: object) -> str:
    """Returns the text of a special token, which is written as itself or as an object with `content`."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _writes_blanks(file: Path) -> bool:
    """Returns whether a blank comes out before a text that has none: `Prepend` or `Metaspace`, LLaMA's forms."""
    definition = json.loads(file.read_text(encoding="utf-8"))
    steps = [step for key in ("normalizer", "pre_tokenizer") for step in _steps(definition.get(key))]
    return any(
        step.get("type") == "Prepend" or (step.get("type") == "Metaspace" and step.get("prepend_scheme") != "never")
        for step in steps
    )


def _steps(step: Any) -> list[dict[str, Any]]:
    if not isinstance(step, dict):
        return []
    inner = step.get("normalizers") or step.get("pretokenizers") or []
    return [step, *(found for one in inner for found in _steps(one))]
