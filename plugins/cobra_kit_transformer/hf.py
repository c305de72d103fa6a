"""Any decoder that transformers can build, as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from cobra_kit.errors import PluginError
from cobra_kit.interfaces import PretrainedFile, TextCodec
from cobra_kit_transformer.architecture import sentence, source_of, transformers_config
from cobra_kit_transformer.causal import CausalBackbone
from cobra_kit_transformer.checkpoint import load_checkpoint, pretrained_files
from cobra_kit_transformer.hf_config import DecoderConfig
from cobra_kit_transformer.initialise import initialise
from cobra_kit_transformer.proof import prove


class HfBackbone(CausalBackbone):
    """A causal language model of transformers; its tensors have the names that transformers gives them.

    Raises:
        PluginError: transformers cannot build it, or a small copy of it computes something else here than there.
    """

    lora_targets: ClassVar[tuple[str, ...]] = (
        *("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),  # GPT-NeoX
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "fc1", "fc2"),  # LLaMA, Phi
    )
    never_quantise: ClassVar[tuple[str, ...]] = ("inv_freq", "original_inv_freq")

    def __init__(self, config: DecoderConfig) -> None:
        from transformers import AutoModelForCausalLM

        super().__init__(config)
        self.config = config
        built, where = transformers_config(config), source_of(config)
        proven = prove(built, config.attention, where=where)
        try:
            model = AutoModelForCausalLM.from_config(built, attn_implementation=config.attention, dtype=torch.float32)
        except Exception as error:  # whatever a constructor's arithmetic meets
            raise PluginError(f"transformers cannot build it: {sentence(error)}", where=where) from error
        self.take(model, where=where)
        if proven.positions_end:
            self.most_positions = int(built.max_position_embeddings)

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
        load_checkpoint(self, self.config)

    @classmethod
    def pretrained_files(cls, config: DecoderConfig) -> tuple[PretrainedFile, ...]:
        """Returns the files that `weights` names, without fetching them; of alternatives the preferred one."""
        return pretrained_files(config)

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the decoder layers."""
        kinds = set(getattr(self.decoder, "_no_split_modules", None) or ())
        return [module for module in self.decoder.modules() if type(module).__name__ in kinds]

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
