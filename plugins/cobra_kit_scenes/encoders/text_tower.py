"""A small text tower: phrases and captions to vectors. It is trained with the encoder and then thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit.text.tokenizer import small_tokenizer


class TextTower(nn.Module):
    """Token embeddings, a convolution over three neighbours, the mean over the text, an MLP.

    The convolution tells "red circle, blue star" from "blue circle, red star"; the mean makes it cheap.

    Args:
        width: Channels of a vector.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._tokenizer = small_tokenizer()
        self._encode = lru_cache(maxsize=100_000)(self._tokenizer.encode)
        self.embedding = nn.Embedding(self._tokenizer.vocab_size, width)
        self.neighbours = nn.Conv1d(width, width, 3, padding=1)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Returns `[t width]`, not normalised, for t texts."""
        rows = [self._encode(text) for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
        # Padding is zero before the convolution, which would carry it into the last token, and before the sum.
        real = (torch.arange(ids.shape[1]) < lengths[:, None])[..., None]
        x = self.embedding(ids) * real
        x = F.gelu(x + self.neighbours(x.transpose(1, 2)).transpose(1, 2)) * real
        mean = x.sum(1) / lengths[:, None]
        vectors: Tensor = mean + self.mlp(mean)
        return vectors
