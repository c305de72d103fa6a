r"""Makes the packaged small tokenizer: `python tools/build_small_tokenizer.py [FILE]`.

Byte-level BPE, so any UTF-8 text survives a round trip. Ours rather than the library's trainer, because the file must
come out byte for byte the same under every version of it: the most frequent pair is merged, of equally frequent ones
the alphabetically first.

Ids: 0 `<|endoftext|>` (special); 1 `<|user|>\n` and 2 `\n<|assistant|>\n`, ordinary text that the chat template
writes in every turn, hence one token each (not special: `decode` keeps them); then 256 bytes; then the merges.
Digits never merge with each other, so `0.12` is four tokens; `[`, `.` and `,` between digits stand alone too.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import tokenizers
from small_corpus import training_lines, whole_words

from cobra_kit.errors import ArgumentError
from cobra_kit.text.tokenizer import END_OF_TEXT, SMALL_TOKENIZER_FILE

VOCAB_SIZE = 1024
ADDED = (END_OF_TEXT, "<|user|>\n", "\n<|assistant|>\n")

# Letters in runs, digits and newlines one by one, other signs in runs; a blank belongs to what follows it.
PIECES = r" ?\p{L}+| ?\p{N}|\n| ?[^\s\p{L}\p{N}]+|[^\S\n]+(?!\S)|[^\S\n]+"

PACKAGED_FILE = Path(__file__).parents[1] / "cobra_kit" / "text" / SMALL_TOKENIZER_FILE

Pair = tuple[str, str]


def build(lines: Iterable[str], words: Iterable[str], vocab_size: int = VOCAB_SIZE) -> str:
    """Returns the tokenizer as the text of a `tokenizer.json`.

    Args:
        lines: Text whose pair frequencies decide the merges.
        words: Strings that become one token each, before any merge that only `lines` ask for.
        vocab_size: Ids in all; fewer come out when nothing is left to merge.

    Raises:
        ValueError: The words need more ids than `vocab_size`, or one of them is not a single piece.
    """
    pieces = _count_pieces(lines)
    required = [_single_piece(word) for word in words]
    weight = 2 + sum(len(piece) * count for piece, count in pieces.items())  # more than any pair of the lines
    for piece in required:
        pieces[piece] += weight
    merges = learn_merges(pieces, limit=vocab_size - len(ADDED) - len(_alphabet()))
    vocab = [*ADDED, *_alphabet(), *("".join(pair) for pair in merges)]
    missing = sorted(set(required) - set(vocab))
    if missing:
        raise ArgumentError(f"{vocab_size} ids are too few for {len(missing)} of the words: {missing[:5]}")
    return json.dumps(_definition(vocab, merges), ensure_ascii=False, indent=0) + "\n"


def learn_merges(pieces: Counter[str], limit: int) -> list[Pair]:
    """Returns at most `limit` merges, in order; pairs that occur once are not worth an id."""
    words = [(list(piece), count) for piece, count in sorted(pieces.items())]
    merges: list[Pair] = []
    while len(merges) < limit:
        counts: Counter[Pair] = Counter()
        for symbols, count in words:
            for pair in pairwise(symbols):
                counts[pair] += count
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        for symbols, _ in words:
            _merge(symbols, best)
    return merges


def _merge(symbols: list[str], pair: Pair) -> None:
    position = 0
    while position < len(symbols) - 1:
        if (symbols[position], symbols[position + 1]) == pair:
            symbols[position : position + 2] = ["".join(pair)]
        position += 1


def _alphabet() -> list[str]:
    return sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


def _count_pieces(lines: Iterable[str]) -> Counter[str]:
    split = tokenizers.Tokenizer.from_str(json.dumps(_definition(_alphabet(), []))).pre_tokenizer
    return Counter(piece for line in lines for piece, _ in split.pre_tokenize_str(line))


def _single_piece(word: str) -> str:
    (piece, *rest) = _count_pieces([word])
    if rest:
        raise ArgumentError(f"{word!r} is cut into several pieces, so it cannot be one token")
    return piece


def _definition(vocab: list[str], merges: list[Pair]) -> dict[str, Any]:
    added = [
        {
            "id": number,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": text == END_OF_TEXT,
        }
        for number, text in enumerate(vocab)
        if text in ADDED
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": PIECES}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: number for number, token in enumerate(vocab)},
            "merges": [" ".join(pair) for pair in merges],
        },
    }


def main(arguments: list[str]) -> None:
    """Writes the tokenizer to the file named first, by default over the packaged one."""
    path = Path(arguments[0]) if arguments else PACKAGED_FILE
    path.write_text(build(training_lines(), whole_words()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
