"""Any decoder that transformers can build, as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor, nn

from cobra_kit.errors import PluginError
from cobra_kit.interfaces import TextCodec
from cobra_kit_transformer.architecture import check_forward, source_of, transformers_config
from cobra_kit_transformer.checkpoint import load_checkpoint
from cobra_kit_transformer.decoder import CacheShape, DecoderBackbone
from cobra_kit_transformer.hf_config import DecoderConfig
from cobra_kit_transformer.initialise import initialise


class HfBackbone(DecoderBackbone):
    """A causal language model of transformers; its tensors have the names that transformers gives them.

    A head that is tied to the embedding is left out.
    """

    lora_targets: ClassVar[tuple[str, ...]] = (
        *("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),  # GPT-NeoX
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "fc1", "fc2"),  # LLaMA, Phi
    )
    never_quantise: ClassVar[tuple[str, ...]] = ("inv_freq", "original_inv_freq")

    def __init__(self, config: DecoderConfig) -> None:
        from transformers import AutoModelForCausalLM, PreTrainedModel

        super().__init__(config)
        self.config = config
        built = transformers_config(config)
        try:
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                built, attn_implementation=config.attention, dtype=torch.float32
            )
        except (ValueError, ImportError, AssertionError, RuntimeError) as error:
            raise PluginError(
                f"transformers cannot build it: {str(error).splitlines()[0]}", where=source_of(config)
            ) from error
        check_forward(type(model.base_model), where=source_of(config))
        self._decoder_name: str = model.base_model_prefix
        self._head_name = _head_name(model, where=source_of(config))
        self._tied = bool(built.tie_word_embeddings)
        for name, child in model.named_children():
            if not (self._tied and name == self._head_name):
                self.add_module(name, child)
        self.hidden_size = int(built.hidden_size)
        embedding = cast("nn.Embedding", model.get_input_embeddings())
        self.vocab_size = int(embedding.weight.shape[0])
        self._embedding_name = next(name for name, module in self.named_modules() if module is embedding)
        if embedding.weight.shape[1] != self.hidden_size:
            raise PluginError(
                f"its embedding has {embedding.weight.shape[1]} channels, its hidden states {self.hidden_size}",
                where=source_of(config),
            )

    @classmethod
    def text_codec(cls, config: DecoderConfig) -> TextCodec:
        """Returns tokenizer and prompt template, without weights."""
        from cobra_kit_transformer.tokenizer import text_codec

        return text_codec(config)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills everything by the scheme that transformers has for this architecture.

        Raises:
            PluginError: That scheme leaves tensors out.
        """
        initialise(self, self.decoder, generator)

    def load_pretrained(self) -> None:
        """Loads the weights that the config names.

        Raises:
            WeightsError: They are missing, damaged, or do not fit.
        """
        load_checkpoint(self)

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the decoder layers."""
        kinds = set(getattr(self.decoder, "_no_split_modules", None) or ())
        return [module for module in self.decoder.modules() if type(module).__name__ in kinds]

    @property
    def decoder(self) -> nn.Module:
        """Returns transformers' decoder."""
        return self.get_submodule(self._decoder_name)

    @property
    def embedding(self) -> Tensor:
        """Returns the embedding `[vocab_size d]`."""
        return cast("Tensor", self.embedding_module.weight)

    @property
    def embedding_module(self) -> nn.Module:
        """Returns the module of ids to embeddings."""
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
        head_dim = getattr(built, "head_dim", None) or self.hidden_size // built.num_attention_heads
        return CacheShape(built.num_hidden_layers, heads, head_dim)

    @property
    def attention(self) -> str:
        """Returns how attention is computed."""
        return self.config.attention

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Keeps rotary frequencies in float32 under `.to(bfloat16)`: rounded, they misplace late tokens."""
        exact = {
            name: buffer
            for name, buffer in self.named_buffers()
            if name.rpartition(".")[2] in self.never_quantise and buffer.dtype == torch.float32
        }
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch does not type it
        for name, before in exact.items():
            owner, _, leaf = name.rpartition(".")
            now = self.get_buffer(name)
            if now.dtype != torch.float32:
                moved = torch.empty_like(now, dtype=torch.float32) if before.is_meta else before.to(now.device)
                setattr(self.get_submodule(owner), leaf, moved)
        return self


def _head_name(model: nn.Module, *, where: str) -> str:
    """Returns the name of the output head.

    Raises:
        PluginError: There is none, or it is no linear layer of the model's own.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]  # a PreTrainedModel
    names = [name for name, child in model.named_children() if child is head]
    if not names or not isinstance(head, nn.Linear):
        raise PluginError(
            f"{type(model).__name__} has no linear head of its own, so it cannot be a backbone", where=where
        )
    return names[0]
