"""Contrastive pretraining: what an image says, and where it says it.

Four terms, all with SigLIP's sigmoid loss (Zhai et al. 2023, arXiv 2303.15343: every pair of the batch is a yes-or-no
question; temperature and bias are learnt):

- `caption`: the attention-pooled image against whole captions, one true caption per image.
- `phrase`: images against short phrases on single things ("a red circle"). The phrase asks: its vector is the query
  of an attention over the tokens, so tokens have to stay local.
- `region`: single tokens against the same phrases. A token fits what is said about the thing that it shows, so this
  term uses the boxes of the captions' things ("grounded" captions); tokens of the background fit nothing.
- `count`: the attention-pooled image against phrases that count ("two red objects").

Phrases are patterns, so truth is known for every pair and a phrase that fits two images of a batch is true for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cobra_kit_scenes.encoders.phrases import batch_counts, batch_phrases, counting, fits, wording
from cobra_kit_scenes.encoders.scene_instances import SceneInstances
from cobra_kit_scenes.encoders.text_tower import TextTower


class SigmoidLoss(nn.Module):
    """SigLIP's loss with its learnt temperature and bias: each pair is right or wrong on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def forward(self, similarity: Tensor, true: Tensor) -> Tensor:
        """Returns the loss per true pair.

        Args:
            similarity: Cosines, any shape.
            true: Same shape, bool.
        """
        logits = similarity * self.log_temperature.exp() + self.bias
        loss = F.binary_cross_entropy_with_logits(logits, true.to(logits.dtype), reduction="sum")
        return loss / true.sum().clamp(min=1)


class Contrastive(nn.Module):
    """The heads and losses of contrastive pretraining over an encoder's tokens.

    Args:
        width: Channels of the encoder's tokens.
        things: What stands in the training images.
        captions: A sentence on each of them.
        weights: Weight per term.
        tokens_per_image: Tokens that the region term looks at, per image.
    """

    terms = ("caption", "phrase", "region", "count")

    def __init__(
        self,
        width: int,
        things: SceneInstances,
        captions: Sequence[str],
        weights: Mapping[str, float],
        tokens_per_image: int = 16,
    ) -> None:
        super().__init__()
        self._things, self._captions, self._weights = things, captions, dict(weights)
        self._tokens_per_image = tokens_per_image
        self.text = TextTower(width)
        self.norm = nn.LayerNorm(width)
        self.key, self.value, self.ask = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.region = nn.Linear(width, width)
        self.pool = AttentionPool(width)
        self.caption_text, self.count_text = nn.Linear(width, width), nn.Linear(width, width)
        self.losses = nn.ModuleDict({term: SigmoidLoss() for term in self.terms})

    def forward(self, tokens: Tensor, rows: NDArray[np.int64], rng: Random) -> dict[str, Tensor]:
        """Returns the weighted loss of each term.

        Args:
            tokens: `[b n d]`, the encoder's.
            rows: `[b]`: which images these are.
            rng: Chooses phrases and tokens.
        """
        x = self.norm(tokens)
        phrases = batch_phrases(self._things, rows, rng)
        counts = batch_counts(self._things, rows, rng)
        texts = [wording(phrase) for phrase in phrases] + [counting(*count) for count in counts]
        vectors = self.text([*texts, *(self._captions[row] for row in rows)])
        phrase_vectors, counted, captions = vectors.split([len(phrases), len(counts), len(rows)])
        pooled = F.normalize(self.pool(x), dim=-1)
        patterns = np.array(phrases, np.int8)
        out = {
            "caption": self._caption(pooled, captions),
            "phrase": self._phrase(x, phrase_vectors, patterns, rows),
            "region": self._region(x, phrase_vectors, patterns, rows, rng),
            "count": self._count(pooled, counted, counts, rows),
        }
        return {term: self._weights.get(term, 0.0) * loss for term, loss in out.items()}

    def _caption(self, pooled: Tensor, captions: Tensor) -> Tensor:
        similarity = pooled @ F.normalize(self.caption_text(captions), dim=-1).T
        return self._loss("caption", similarity, torch.eye(len(pooled), dtype=torch.bool))

    def _phrase(self, x: Tensor, phrase_vectors: Tensor, patterns: NDArray[np.int8], rows: NDArray[np.int64]) -> Tensor:
        attention = torch.softmax(self.ask(phrase_vectors) @ self.key(x).transpose(1, 2) / x.shape[-1] ** 0.5, dim=-1)
        answers = F.normalize(attention @ self.value(x), dim=-1)  # [b p d]
        similarity = (answers * F.normalize(phrase_vectors, dim=-1)).sum(-1)
        # True of all images that the phrase fits, not of its own alone: a red circle elsewhere is no mistake.
        true = (fits(patterns, self._things.attributes[rows]) & self._things.present()[rows][..., None]).any(1)
        return self._loss("phrase", similarity, torch.from_numpy(true))

    def _region(
        self, x: Tensor, phrase_vectors: Tensor, patterns: NDArray[np.int8], rows: NDArray[np.int64], rng: Random
    ) -> Tensor:
        regions = self._things.regions[rows]
        picked = _pick(regions, self._tokens_per_image, rng)
        batch = np.repeat(np.arange(len(rows)), picked.shape[1])
        shown = regions[batch, picked.ravel()]
        true = fits(patterns, self._things.attributes[rows[batch], shown]) & (shown >= 0)[:, None]
        tokens = self.region(x[torch.from_numpy(batch), torch.from_numpy(picked.ravel())])
        similarity = F.normalize(tokens, dim=-1) @ F.normalize(phrase_vectors, dim=-1).T
        return self._loss("region", similarity, torch.from_numpy(true))

    def _count(
        self, pooled: Tensor, counted: Tensor, counts: Sequence[tuple[int, int]], rows: NDArray[np.int64]
    ) -> Tensor:
        what, number = np.array(counts).T
        true = self._things.counts[rows][:, what] == number
        similarity = pooled @ F.normalize(self.count_text(counted), dim=-1).T
        return self._loss("count", similarity, torch.from_numpy(true))

    def _loss(self, term: str, similarity: Tensor, true: Tensor) -> Tensor:
        loss: Tensor = self.losses[term](similarity, true)
        return loss


class AttentionPool(nn.Module):
    """One learnt query per head over the tokens, then an MLP: SigLIP's pooling head, small.

    Args:
        width: Channels of a token.
        queries: Learnt queries; their answers are concatenated.
    """

    def __init__(self, width: int, queries: int = 4) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(queries * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Returns `[b d]` for tokens `[b n d]`."""
        attention = torch.softmax(self.queries @ self.key(x).transpose(1, 2) / x.shape[-1] ** 0.5, dim=-1)
        pooled: Tensor = self.mlp((attention @ self.value(x)).flatten(1))
        return pooled


def _pick(regions: NDArray[np.int8], count: int, rng: Random) -> NDArray[np.int64]:
    """Returns `[b count]` token indices: those that show a thing first, then background, in random order."""
    # Random numbers below 1 for tokens that show a thing, and above 1 for the others, then sorted.
    order = np.random.default_rng(rng.getrandbits(63)).random(regions.shape) + (regions < 0)
    picked: NDArray[np.int64] = np.argsort(order, axis=1)[:, :count]
    return picked
