"""The tokenizer and the prompt template of a model: from its folder, a path, or the hub. No weights, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile, TextError
from cobra_kit.files import damage_as, expanded, read_json, read_mapping
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.pretrained import TOKENIZER_FILE, find_tokenizer, read_tokenizer
from cobra_kit.text.templates import make_template
from cobra_kit.text.tokenizer import DEFINITION_BYTES, small_tokenizer
from cobra_kit_transformer.architecture import model_folder, source_of, transformers_config
from cobra_kit_transformer.hf_config import SMALL_TOKENIZER, DecoderConfig, HfConfig

_ABOUT = "tokenizer_config.json"


def text_codec(config: DecoderConfig) -> TextCodec:
    """Returns tokenizer and template.

    Raises:
        TextError: The tokenizer cannot be found or read, does not know its end of text, or has more ids than the
            model has embeddings.
    """
    if config.tokenizer == SMALL_TOKENIZER:
        tokenizer, template = small_tokenizer(), make_template(config.template)
    else:
        file = _find(config)
        begin, end = _marks(config, file.with_name(_ABOUT))
        tokenizer = read_tokenizer(file, end)
        template = make_template(
            config.template,
            begin_of_text=begin,
            end_of_text=tokenizer.eos_token,
            writes_blanks=_writes_blanks(file),
        )
    rows = transformers_config(config).vocab_size
    if tokenizer.vocab_size > rows:
        raise TextError(
            f"the tokenizer has {tokenizer.vocab_size} ids, the embedding {rows} rows",
            where=source_of(config),
            hint="Name the model's own tokenizer: tokenizer: PATH, or null for the one beside its weights.",
        )
    return TextCodec(tokenizer, template, config.max_text_tokens)


def _find(config: DecoderConfig) -> Path:
    """Returns the `tokenizer.json`: the one that `tokenizer` names, else beside the weights, else on the hub."""
    where = source_of(config)
    named = None if config.tokenizer is None else str(expanded(config.tokenizer))
    folder = model_folder(config) if isinstance(config, HfConfig) else None
    if named is None and folder is not None and (folder / TOKENIZER_FILE).is_file():
        return folder / TOKENIZER_FILE
    repository = _repository(config)
    if named is None and repository is None:
        raise TextError(
            f"no {TOKENIZER_FILE} beside the model",
            where=where,
            hint=f"Name one: tokenizer: PATH to a {TOKENIZER_FILE} or a folder with it. A folder with tokenizer.model "
            "alone gets one from transformers with sentencepiece: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).",
        )
    weights = str(expanded(config.weights))
    return find_tokenizer(weights=weights, tokenizer=named, repository=repository or "", where=where)


def _repository(config: DecoderConfig) -> str | None:
    if isinstance(config, HfConfig):
        return None if model_folder(config) else config.model
    assert config.published is not None
    return config.published.tokenizer


def _marks(config: DecoderConfig, about: Path) -> tuple[str, str | None]:
    """Returns what stands before every text, and what ends an answer: None where the tokenizer's files say it."""
    if not isinstance(config, HfConfig):
        assert config.published is not None
        return config.published.begin_of_text, config.published.end_of_text
    begin = _declared_begin(about) if config.begin_of_text is None else config.begin_of_text
    return begin, config.end_of_text


def _declared_begin(file: Path) -> str:
    """Returns the token that `tokenizer_config.json` puts before every text, or nothing."""
    with damage_as(TextError, "Fetch the file again."):
        about = read_json(file) if file.is_file() else {}
    token = about.get("bos_token") if isinstance(about, dict) and about.get("add_bos_token") else ""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _writes_blanks(file: Path) -> bool:
    """Returns whether a blank comes out before a text that has none: `Prepend` or `Metaspace`, LLaMA's forms."""
    with damage_as(TextError, "Fetch the file again."):
        try:
            definition = read_mapping(file, DEFINITION_BYTES)
        except FileNotFoundError as error:  # it was read a moment ago, and somebody deleted it since
            raise DamagedFile(file, "is missing") from error
    steps = [step for key in ("normalizer", "pre_tokenizer") for step in _steps(definition.get(key))]
    return any(
        step.get("type") == "Prepend" or (step.get("type") == "Metaspace" and step.get("prepend_scheme") != "never")
        for step in steps
    )


def _steps(step: Any) -> list[dict[str, Any]]:
    if not isinstance(step, dict):
        return []
    inner = step.get("normalizers") or step.get("pretokenizers") or []
    return [step, *(below for nested in inner for below in _steps(nested))] if isinstance(inner, list) else [step]
