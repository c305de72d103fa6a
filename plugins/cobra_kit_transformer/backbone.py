"""transformers' GPT-NeoX decoder as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cobra_kit.errors import NotFinishedError, PluginError
from cobra_kit.interfaces import Backbone, DecodeState, FusedSequence, KernelReport, TextCodec
from cobra_kit.weights import load_into, load_tensors
from cobra_kit_transformer.cache import StateCache
from cobra_kit_transformer.config import TransformerTinyConfig
from cobra_kit_transformer.gpt_neox import gpt_neox_config, inverse_frequencies, padded_vocab_size


class GptNeoxBackbone(Backbone):
    """A GPT-NeoX language model; its tensors have the names of transformers' `GPTNeoXForCausalLM`.

    Attributes:
        gpt_neox: transformers' `GPTNeoXModel`.
        lm_head: The head, or None where it is the embedding's transpose (a shared parameter would come apart when the
            core allocates a model built on the meta device).
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
        from cobra_kit.text.templates import BaseTemplate, ChatTemplate
        from cobra_kit.text.tokenizer import small_tokenizer

        template = ChatTemplate() if config.template == "chat" else BaseTemplate()
        return TextCodec(small_tokenizer(), template, config.max_text_tokens)

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
            NotFinishedError: `weights` is `hub`.
            WeightsError: The file is missing, damaged, or does not fit.
        """
        weights = self.config.weights
        if weights == "none":
            return
        if weights == "hub":
            raise NotFinishedError(
                "no weights are published for this size; those of full size come later",
                where="transformer/tiny: weights: hub",
                hint="Use weights: none (random), or the path of a checkpoint.",
            )
        path = Path(weights).expanduser()
        load_into(self, load_tensors(path), source=str(path))

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the decoder layers."""
        return list(self.gpt_neox.get_submodule("layers").children())

    def embed(self, ids: Tensor) -> Tensor:
        """Returns the embeddings `[t d]` of ids `[t]`."""
        return F.embedding(ids, self._embedding)

    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the normed hidden states `[b s d]`; with a state, continues its rows.

        Right padding needs no mask: attention is causal, so no real token sees it.

        Raises:
            NotFinishedError: A row is packed with several segments.
            ShapeError: A row would outgrow the state.
        """
        layout = sequence.layout
        if layout.packed:
            raise NotFinishedError(
                f"packed rows come later: {layout.cu_seqlens.numel() - 1} segments in {len(layout.lengths)} rows",
                where="transformer/tiny",
                hint="Give each segment a row of its own, padded on the right.",
            )
        if state is None:
            return self._run(sequence.embeddings)
        real = (layout.segment_ids != 0).sum(dim=1)
        return self._run_cached(sequence.embeddings, StateCache(state, sequence.embeddings.shape[1], real))

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the logits `[.. vocab_size]` of hidden states `[.. d]`."""
        return F.linear(hidden, self._embedding) if self.lm_head is None else F.linear(hidden, self.lm_head.weight)

    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        """Returns empty keys and values, `[b heads max_length head_dim]` per layer."""
        shape = (batch, self.config.num_heads, max_length, self.config.head_dim)
        names = [f"{kind}.{layer}" for layer in range(self.config.num_layers) for kind in "kv"]
        tensors = {name: torch.zeros(shape, device=device, dtype=dtype) for name in names}
        return DecodeState(tensors, torch.zeros(batch, device=device, dtype=torch.int32))

    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        """Advances every row by one token: `[b d]` -> normed hidden states `[b d]`."""
        return self._run_cached(embeddings[:, None], StateCache(state, 1))[:, 0]

    def kernels(self) -> Sequence[KernelReport]:
        """Returns how attention is computed."""
        if self.config.attention == "sdpa":
            reason = "PyTorch's scaled_dot_product_attention, which picks its kernel by device and dtype"
            return [KernelReport("attention", "sdpa", reason)]
        return [KernelReport("attention", "eager", "the config asks for plain matrix products", "attention: sdpa")]

    @property
    def _embedding(self) -> Tensor:
        return self.gpt_neox.get_parameter("embed_in.weight")

    def _run(self, embeddings: Tensor) -> Tensor:
        hidden: Tensor = self.gpt_neox(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        return hidden

    def _run_cached(self, embeddings: Tensor, cache: StateCache) -> Tensor:
        hidden: Tensor = self.gpt_neox(
            inputs_embeds=embeddings,
            attention_mask=cache.mask(embeddings.dtype),
            position_ids=cache.positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        cache.advance()
        return hidden
