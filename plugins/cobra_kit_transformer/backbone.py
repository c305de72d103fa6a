"""transformers' GPT-NeoX decoder as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn

from cobra_kit.errors import PluginError, WeightsError
from cobra_kit.files import expanded
from cobra_kit.interfaces import PretrainedFile, TextCodec
from cobra_kit.text.vocabulary import vocabulary_digest
from cobra_kit.weights import load_into, load_packaged, load_tensors
from cobra_kit_transformer.config import TransformerTinyConfig
from cobra_kit_transformer.decoder import CacheShape, DecoderBackbone
from cobra_kit_transformer.gpt_neox import gpt_neox_config, inverse_frequencies, padded_vocab_size

PACKAGED = Path(__file__).parent / "weights"
"""The folder of the weights that come with the plugin; the cards there say how they were made."""

_NOT_THERE = {
    "hub": ("no weights are published for this size", "a published model such as transformer/pythia-2.8b"),
    "packaged": ("this backbone comes without weights", "transformer/tiny-base or transformer/tiny-chat"),
}


class GptNeoxBackbone(DecoderBackbone):
    """A GPT-NeoX language model; its tensors have the names of transformers' `GPTNeoXForCausalLM`.

    Attributes:
        gpt_neox: The blocks, a `GPTNeoXModel` of transformers.
        lm_head: The head, or None where it is the embedding's transpose.
    """

    lora_targets: ClassVar[tuple[str, ...]] = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")

    def __init__(self, config: TransformerTinyConfig) -> None:
        from transformers import GPTNeoXModel

        super().__init__(config)
        self.config = config
        self.hidden_size = config.hidden_size
        self.vocab_size = padded_vocab_size(config)
        self.gpt_neox: nn.Module = GPTNeoXModel(gpt_neox_config(config))
        self.lm_head = None if config.tie_embeddings else nn.Linear(self.hidden_size, self.vocab_size, bias=False)

    @classmethod
    def text_codec(cls, config: TransformerTinyConfig) -> TextCodec:
        """Returns the small tokenizer, which `mamba/tiny` uses too, and the prompt template."""
        from cobra_kit.text.templates import make_template
        from cobra_kit.text.tokenizer import small_tokenizer

        return TextCodec(small_tokenizer(), make_template(config.template), config.max_text_tokens)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills everything as transformers does for GPT-NeoX: normal weights, biases 0, norms 1 and 0.

        Raises:
            PluginError: transformers has a tensor that this scheme does not know.
        """
        unknown = []
        for path, module in self.named_modules():
            tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            unknown += [f"{path}.{name}" for name, tensor in tensors if not self._fill(module, name, tensor, generator)]
        if unknown:
            import transformers

            raise PluginError(
                f"transformers {transformers.__version__} builds tensors that cobra_kit_transformer cannot "
                f"initialise: {', '.join(unknown)}",
                hint="Install a version that it knows, such as transformers==5.23.0.",
            )

    def _fill(self, module: nn.Module, name: str, tensor: Tensor, generator: torch.Generator | None) -> bool:
        if isinstance(module, nn.LayerNorm):
            tensor.fill_(1.0 if name == "weight" else 0.0)
        elif isinstance(module, nn.Linear) and name == "bias":
            tensor.zero_()
        elif isinstance(module, (nn.Linear, nn.Embedding)):
            tensor.normal_(std=self.config.initializer_range, generator=generator)
        elif name in {"inv_freq", "original_inv_freq"}:  # of the rotary embedding, not persistent
            tensor.copy_(inverse_frequencies(self.config))
        else:
            return False
        return True

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Keeps the rotary frequencies in float32 under `.to(bfloat16)`: rounded, they misplace late tokens."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch does not type it
        rotary = self.gpt_neox.get_submodule("rotary_emb")
        for name, buffer in rotary.named_buffers(recurse=False):
            if buffer.dtype != torch.float32:
                exact = torch.empty_like(buffer) if buffer.is_meta else inverse_frequencies(self.config)
                setattr(rotary, name, exact.to(buffer.device, torch.float32))
        return self

    def load_pretrained(self) -> None:
        """Loads the file that `weights` names.

        Raises:
            WeightsError: The file is missing, damaged, or does not fit, or there is none of the kind that `weights` is.
        """
        weights, packaged = self.config.weights, self.config.packaged_file
        if weights == "none":
            return
        if weights == "packaged" and packaged is not None:
            vocabulary = vocabulary_digest(self.text_codec(self.config).tokenizer)
            load_packaged(self, PACKAGED / packaged, vocabulary=vocabulary)
            return
        if weights in _NOT_THERE:
            problem, instead = _NOT_THERE[weights]
            hint = f"Use weights: none (random), the path of a checkpoint, or {instead}."
            raise WeightsError(problem, where=f"transformer/tiny: weights: {weights}", hint=hint)
        path = expanded(weights)
        load_into(self, load_tensors(path), source=str(path))

    @classmethod
    def sizes_follow_config(cls, config: TransformerTinyConfig) -> bool:
        """Returns True: weights are no part of what is built."""
        return True

    @classmethod
    def pretrained_files(cls, config: TransformerTinyConfig) -> tuple[PretrainedFile, ...]:
        """Returns the file that `weights` names; on the hub there is none."""
        if config.weights == "packaged" and config.packaged_file is not None:
            return (PretrainedFile(None, str(PACKAGED / config.packaged_file)),)
        if config.weights == "none" or config.weights in _NOT_THERE:
            return ()
        return (PretrainedFile(None, str(expanded(config.weights))),)

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the decoder layers."""
        return list(self.gpt_neox.get_submodule("layers").children())

    @property
    def decoder(self) -> nn.Module:
        """Returns transformers' decoder."""
        return self.gpt_neox

    @property
    def embedding(self) -> Tensor:
        """Returns the embedding `[vocab_size d]`."""
        return cast("Tensor", self.embedding_module.weight)

    @property
    def embedding_module(self) -> nn.Module:
        """Returns the module of ids to embeddings."""
        return self.gpt_neox.get_submodule("embed_in")

    @property
    def head(self) -> nn.Linear | None:
        """Returns the head, or None where it is the embedding's transpose."""
        return self.lm_head

    @property
    def cache_shape(self) -> CacheShape:
        """Returns what a decode state holds per token."""
        return CacheShape(self.config.num_layers, self.config.num_heads, self.config.head_dim)

    @property
    def attention(self) -> str:
        """Returns how attention is computed."""
        return self.config.attention
