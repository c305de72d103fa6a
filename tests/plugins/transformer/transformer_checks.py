"""What the tests of the Transformer backbones share: rows of embeddings, laid out as the core does."""

from __future__ import annotations

import torch
from torch import Tensor

from cobra_kit.interfaces import Backbone, FusedSequence, LayoutBatch

LOUD = {"initializer_range": 0.15}  # attention that matters: wrong positions or masks would hardly show at 0.02
SMALL = {
    "vocab_size": 97,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 72,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
    **LOUD,
}
"""Settings of a small model of most types that transformers knows."""


def sequence(rows: list[Tensor]) -> FusedSequence:
    """Embeddings of rows [s_i d], padded on the right with noise that must not matter."""
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    embeddings = torch.stack([torch.cat([row, torch.randn(longest - len(row), row.shape[1])]) for row in rows])
    slots = torch.arange(longest)
    real = slots < torch.tensor(lengths)[:, None]
    layout = LayoutBatch(
        source=torch.zeros(len(rows), longest, dtype=torch.int64),
        segment_ids=real.int(),
        positions=torch.where(real, slots, 0),
        labels=None,
        cu_seqlens=torch.tensor([0, *lengths]).cumsum(0).int(),
        lengths=tuple(lengths),
    )
    return FusedSequence(embeddings, layout)


def rows_of(lengths: list[int], width: int = 128, seed: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, width, generator=generator) for length in lengths]


def full(backbone: Backbone, row: Tensor) -> Tensor:
    return backbone.logits(backbone(sequence([row])))[0]


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def packed(rows: list[Tensor]) -> FusedSequence:
    """All rows as segments of one packed row."""
    lengths = [len(row) for row in rows]
    ids = torch.cat([torch.full((length,), number) for number, length in enumerate(lengths, start=1)])
    layout = LayoutBatch(
        source=torch.zeros(1, sum(lengths), dtype=torch.int64),
        segment_ids=ids[None].int(),
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        labels=None,
        cu_seqlens=torch.tensor([0, *lengths]).cumsum(0).int(),
        lengths=(sum(lengths),),
    )
    return FusedSequence(torch.cat(rows)[None], layout)


def check_packing(backbone: Backbone, width: int) -> None:
    rows = rows_of([4, 1, 7], width)
    pieces = backbone.logits(backbone(packed(rows)))[0].split([4, 1, 7])
    for row, got in zip(rows, pieces, strict=True):
        close(got, full(backbone, row))


def check_contract(backbone: Backbone, width: int) -> None:
    """Padding and batching change nothing; prefill and steps equal the full pass."""
    prompts, steps = [5, 1, 8], 3
    rows = rows_of([length + steps for length in prompts], width)
    alone = [full(backbone, row) for row in rows]
    for got, expected in zip(backbone.logits(backbone(sequence(rows))), alone, strict=True):
        close(got[: len(expected)], expected)
    state = backbone.new_state(3, max(prompts) + steps, device=torch.device("cpu"), dtype=torch.float32)
    prompt = sequence([row[:length] for row, length in zip(rows, prompts, strict=True)])
    prefilled = backbone.logits(backbone(prompt, state))
    for got, expected, length in zip(prefilled, alone, prompts, strict=True):
        close(got[:length], expected[:length])
    for number in range(steps):
        token = torch.stack([row[length + number] for row, length in zip(rows, prompts, strict=True)])
        stepped = backbone.logits(backbone.step(token, state))
        close(stepped, torch.stack([outputs[length + number] for outputs, length in zip(alone, prompts, strict=True)]))
