"""Tokenizers of published models: where their files lie, and the codec over them.

The tokenizer of a model is looked for in this order: the file or folder that the recipe names, the folder that the
weights come from, the hub's repository of the tokenizer's authors. The small files of the hub are fetched once and
kept in its cache, so a data worker finds them without a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit.arguments import file_path
from cobra_kit.errors import TextError, WeightsError
from cobra_kit.files import damage_as, read_mapping
from cobra_kit.names import download_command
from cobra_kit.text.tokenizer import END_OF_TEXT, BpeTokenizer

if TYPE_CHECKING:  # interfaces imports torch
    from cobra_kit.interfaces import PromptTemplate, TextCodec

GPT_NEOX_20B = "EleutherAI/gpt-neox-20b"
"""The hub repository of the GPT-NeoX tokenizer, which Mamba and Pythia use (PAPER.md 1.7)."""

TOKENIZER_FILE = "tokenizer.json"
"""The one file that is read; every fast tokenizer of the Hugging Face hub has it."""

_SPECIAL_TOKENS = ("tokenizer_config.json", "special_tokens_map.json")
_NO_FOLDER = ("none", "hub", "packaged")


def pretrained_codec(
    template: PromptTemplate,
    max_text_tokens: int,
    *,
    weights: str,
    tokenizer: str | None = None,
    repository: str = GPT_NEOX_20B,
    eos_token: str | None = None,
    where: str,
) -> TextCodec:
    """Returns the codec of a published model; the arguments are those of `find_tokenizer` and `read_tokenizer`.

    Raises:
        TextError: The tokenizer cannot be found or read.
    """
    from cobra_kit.interfaces import TextCodec

    file = find_tokenizer(weights=weights, tokenizer=tokenizer, repository=repository, where=where)
    return TextCodec(read_tokenizer(file, eos_token), template, max_text_tokens)


def find_tokenizer(*, weights: str, tokenizer: str | None = None, repository: str = GPT_NEOX_20B, where: str) -> Path:
    """Returns the `tokenizer.json` that goes with a model.

    Args:
        weights: The component's `weights`: a folder (or a file in one) may hold the tokenizer beside the weights.
        tokenizer: A `tokenizer.json` or a folder with one; None: look elsewhere.
        repository: The hub's repository to take it from at last.
        where: The component, for messages.

    Raises:
        TextError: It is nowhere; the message says where it was looked for.
    """
    if tokenizer is not None:
        return _named(Path(tokenizer), where)
    if weights not in _NO_FOLDER:
        path = Path(weights)
        beside = (path if path.is_dir() else path.parent) / TOKENIZER_FILE
        if beside.is_file():
            return beside
    return _from_hub(repository, weights, where)


def read_tokenizer(file: str | Path, eos_token: str | None = None) -> BpeTokenizer:
    """Returns the tokenizer of a `tokenizer.json`; read once per process while the file stays as it is.

    Args:
        file: Path of a `tokenizer.json`.
        eos_token: The text of the token that ends an answer; None: as `tokenizer_config.json` or
            `special_tokens_map.json` beside the file say, else `<|endoftext|>`.

    Raises:
        TextError: The file cannot be read, is damaged, or does not know the token.
    """
    file = file_path(file, "file")
    try:
        changed = file.stat().st_mtime_ns
    except OSError as error:
        raise TextError(f"the tokenizer file cannot be read: {error}", where=str(file)) from error
    return _read(file, changed, _declared_eos(file.parent) if eos_token is None else eos_token)


@lru_cache(maxsize=8)
def _read(file: Path, changed: int, eos_token: str) -> BpeTokenizer:
    return BpeTokenizer.from_file(file, eos_token)


def _named(path: Path, where: str) -> Path:
    """Returns the file that a recipe names, itself or its folder."""
    file = path / TOKENIZER_FILE if path.is_dir() else path
    if file.is_file():
        return file
    if path.is_dir():
        message = f"the folder {path} holds no {TOKENIZER_FILE}{_its_files(path)}"
    else:
        message = f"no such tokenizer: {str(path)!r} is neither a file nor a folder"
    hint = f"Name a {TOKENIZER_FILE} of the `tokenizers` library, or a folder with one, as `tokenizer`."
    raise TextError(message, where=where, hint=hint)


def _its_files(folder: Path) -> str:
    names: Sequence[str] = sorted(path.name for path in folder.glob("tokenizer*"))
    return f", only {', '.join(names)}" if names else ""


def _from_hub(repository: str, weights: str, where: str) -> Path:
    from cobra_kit.weights import hub_folder

    patterns = (TOKENIZER_FILE, *_SPECIAL_TOKENS)
    try:
        folder = hub_folder(repository, patterns=patterns, where=where)
    except WeightsError as error:
        beside = "" if weights in _NO_FOLDER else f"there is no {TOKENIZER_FILE} beside the weights {weights}, and "
        name = repository.rpartition("/")[2]
        raise TextError(
            f"no tokenizer: {beside}{error.message}",
            where=where,
            hint="Without the hub: fetch it elsewhere "
            f"({download_command(repository, TOKENIZER_FILE, '--local-dir', name)}), "
            f"copy it here and name it in the recipe (tokenizer: PATH/{TOKENIZER_FILE}), or put it beside the weights; "
            "or set HF_HOME to a cache that has it.",
        ) from error
    if not (folder / TOKENIZER_FILE).is_file():
        raise TextError(f"the hub repository {repository} has no {TOKENIZER_FILE}", where=where)
    return folder / TOKENIZER_FILE


def _declared_eos(folder: Path) -> str:
    """Returns the end-of-text token that the files beside a tokenizer declare."""
    for name in _SPECIAL_TOKENS:
        try:
            with damage_as(TextError, "Fetch the file again."):
                declared = read_mapping(folder / name).get("eos_token")
        except FileNotFoundError:
            continue
        if isinstance(declared, dict):
            declared = declared.get("content")
        if isinstance(declared, str):
            return declared
    return END_OF_TEXT
