"""The parts of a composed model under the names that transformers has for them."""

from __future__ import annotations

from torch import nn

from cobra_kit.errors import CobraError
from cobra_kit.exchange.huggingface.options import refused
from cobra_kit.model import VisionLanguageModel

_PART = "Compose a recipe with the part that is wanted; the parts are model.model.parts()."


class PartAccessors:
    """Gives access to the parts; what would replace one is refused, since the recipe says what the parts are.

    Attributes:
        model: The composed model.
    """

    model: VisionLanguageModel

    def get_input_embeddings(self) -> nn.Module:
        """Returns the backbone's embedding of text tokens.

        Raises:
            CobraError: The backbone has none of its own, or several.
        """
        rows = self.model.backbone.vocab_size
        embeddings = [each for each in self.model.backbone.modules() if isinstance(each, nn.Embedding)]
        embeddings = [each for each in embeddings if each.num_embeddings == rows]
        if len(embeddings) != 1:
            raise CobraError(f"the backbone has {len(embeddings)} embeddings of {rows} rows, not one", hint=_PART)
        return embeddings[0]

    def get_output_embeddings(self) -> nn.Module | None:
        """Returns the backbone's head, or None where it is the embedding's transpose or no linear layer."""
        rows = self.model.backbone.vocab_size
        linears = [each for each in self.model.backbone.modules() if isinstance(each, nn.Linear)]
        return next((each for each in linears if each.out_features == rows), None)

    def get_decoder(self) -> nn.Module:
        """Returns the backbone."""
        return self.model.backbone

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Returns the vision encoder; there is no other."""
        if modality not in (None, "image"):
            raise CobraError(f"a cobra-kit model has no encoder of {modality}", hint="modality='image'")
        return self.model.vision_encoder

    resize_token_embeddings = refused("resize_token_embeddings", _PART)
    init_weights = refused("init_weights", "cobra_kit.compose(recipe, seed=..) draws new ones.")
    set_input_embeddings = refused("set_input_embeddings", _PART)
    set_output_embeddings = refused("set_output_embeddings", _PART)
    set_decoder = refused("set_decoder", _PART)
    set_encoder = refused("set_encoder", _PART)
    set_attn_implementation = refused("set_attn_implementation", "The recipe says it: model.backbone.attention.")
    set_experts_implementation = refused("set_experts_implementation", _PART)
    set_use_kernels = refused("set_use_kernels", "cobra-kit doctor says which kernels run, and why.")
    gradient_checkpointing_enable = refused("gradient_checkpointing", "Train with a smaller batch and accumulation.")
    activation_checkpointing_enable = refused("gradient_checkpointing", "Train with a smaller batch and accumulation.")
