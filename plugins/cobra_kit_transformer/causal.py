"""A causal language model of transformers, taken apart: embedding, decoder and head by the names that it gives them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from cobra_kit.errors import PluginError, ShapeError
from cobra_kit.interfaces import DecodeState, FusedSequence
from cobra_kit_transformer.architecture import check_forward
from cobra_kit_transformer.decoder import CacheShape, DecoderBackbone

_BUCKET = 256
"""Tokens by which the core rounds a state up where it records graphs."""


class CausalBackbone(DecoderBackbone):
    """A backbone made of a `PreTrainedModel`: its children, under their own names.

    A head that is tied to the embedding is left out.

    Attributes:
        most_positions: Tokens of the longest row that the model has positions for, or None where there is no end.
    """

    most_positions: int | None

    def take(self, model: Any, *, where: str) -> None:
        """Takes over the parts of a model.

        Args:
            model: A causal language model of transformers, a `PreTrainedModel`.
            where: The name that messages have for it.

        Raises:
            PluginError: A part is missing, or is not of the kind that a backbone can use.
        """
        check_forward(type(model.base_model), where=where)
        self._decoder_name: str = model.base_model_prefix
        if not isinstance(getattr(model, self._decoder_name, None), nn.Module):
            raise PluginError(f"{type(model).__name__} has no decoder of its own", where=where)
        self._head_name = _head_name(model, where=where)
        self._tied = bool(model.config.tie_word_embeddings)
        for name, child in model.named_children():
            if not (self._tied and name == self._head_name):
                self.add_module(name, child)
        self.hidden_size = int(model.config.hidden_size)
        embedding = model.get_input_embeddings()
        self._embedding_name = next((name for name, module in self.named_modules() if module is embedding), "")
        if not isinstance(embedding, nn.Embedding) or not self._embedding_name:
            raise PluginError(f"{type(model).__name__} has no embedding of its own", where=where)
        self.vocab_size = int(embedding.weight.shape[0])
        if embedding.weight.shape[1] != self.hidden_size:
            raise PluginError("its embedding is not as wide as its hidden states", where=where)
        self._logit_scale, self._logit_cap = _head_extras(model.config)
        self.most_positions: int | None = None

    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the normed hidden states `[b s d]`, as `DecoderBackbone` does.

        Raises:
            ShapeError: Also where a row is longer than a table of positions that the model has learned.
        """
        self._check_positions(sequence.embeddings.shape[1])
        return super().forward(sequence, state)

    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        """Returns an empty state, as `DecoderBackbone` does.

        Raises:
            ShapeError: It is for more tokens than a table of positions has that the model has learned.
        """
        # Off the CPU the core may ask for whole buckets of tokens, for its graphs; what is beyond stays unused there.
        self._check_positions(max_length, spare=0 if device.type == "cpu" else _BUCKET - 1)
        return super().new_state(batch, max_length, device=device, dtype=dtype)

    def _check_positions(self, length: int, spare: int = 0) -> None:
        if self.most_positions is not None and length > self.most_positions + spare:
            raise ShapeError(
                f"a row of {length} tokens is longer than the {self.most_positions} positions of the backbone",
                hint="Take fewer visual, text or new tokens, or a backbone with rotary positions, such as "
                "transformer/pythia-2.8b.",
            )

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`, scaled and capped as the model does."""
        logits = super().logits(hidden)
        if self._logit_scale != 1:
            logits = logits * self._logit_scale
        if self._logit_cap is not None:
            logits = torch.tanh(logits / self._logit_cap) * self._logit_cap
        return logits

    @property
    def decoder(self) -> nn.Module:
        """Returns transformers' decoder."""
        return self.get_submodule(self._decoder_name)

    @property
    def embedding(self) -> Tensor:
        """Returns the embedding's weight `[vocab_size d]`, unscaled."""
        return cast("Tensor", self.embedding_module.weight)

    @property
    def embedding_module(self) -> nn.Module:
        """Returns the model's own module of ids to embeddings, which may scale them (Gemma)."""
        return self.get_submodule(self._embedding_name)

    @property
    def head(self) -> nn.Linear | None:
        """Returns the head, or None where it is the embedding's transpose."""
        return None if self._tied else cast("nn.Linear", self.get_submodule(self._head_name))

    @property
    def tied_head(self) -> str | None:
        """Returns the name of the head's tensor that is the embedding's transpose and therefore left out, or None."""
        return f"{self._head_name}.weight" if self._tied else None

    @property
    def cache_shape(self) -> CacheShape:
        """Returns what a decode state holds per token."""
        built: Any = self.decoder.config
        heads = getattr(built, "num_key_value_heads", None) or built.num_attention_heads
        if getattr(built, "multi_query", False) and not getattr(built, "new_decoder_architecture", False):
            heads = 1  # Falcon's and GPT-BigCode's way to say so
        head_dim = getattr(built, "head_dim", None) or self.hidden_size // built.num_attention_heads
        return CacheShape(built.num_hidden_layers, heads, head_dim)


def _head_name(model: Any, *, where: str) -> str:
    """Returns the name of the output head.

    Raises:
        PluginError: There is none, or it is no linear layer of the model's own.
    """
    head = model.get_output_embeddings()
    names = [name for name, child in model.named_children() if child is head]
    if not names or not isinstance(head, nn.Linear):
        raise PluginError(f"{type(model).__name__} has no linear head of its own", where=where)
    return str(names[0])


def _head_extras(config: Any) -> tuple[float, float | None]:
    """Returns what logits are multiplied by (Cohere; Granite divides), and what a tanh caps them at (Gemma 2).

    The names are those of transformers' configs. Whether a model means by them what these do, the proof shows.
    """
    scale = getattr(config, "logit_scale", None)
    divisor = getattr(config, "logits_scaling", None)
    cap = getattr(config, "final_logit_softcapping", None)
    return (1.0 if scale is None else scale) / (1.0 if divisor is None else divisor), cap
