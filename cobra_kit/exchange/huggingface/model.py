"""A composed model as transformers sees it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from cobra_kit.errors import CobraError
from cobra_kit.exchange.huggingface.accessors import PartAccessors
from cobra_kit.exchange.huggingface.folder import MODEL_TYPE, write_huggingface
from cobra_kit.exchange.huggingface.labels import check_ids, with_labels
from cobra_kit.exchange.huggingface.locate import local_folder
from cobra_kit.exchange.huggingface.options import (
    OF_THE_LOADER,
    device_of,
    dtype_of,
    refuse,
    refuse_generation,
    size_in_bytes,
    unlike,
)
from cobra_kit.exchange.huggingface.states import PREFIX, whole_state
from cobra_kit.model import Batch, VisionLanguageModel
from cobra_kit.model.decoding import DecodeSettings, generate_ids

_LOADING = "It loads on one device in one dtype. cobra_kit.load gives the model itself."
_SAVING = "It writes one model.safetensors beside the recipe, for every process's main rank alone."


class CobraKitConfig(PretrainedConfig):  # type: ignore[misc]  # transformers' classes have no types here
    """The config that transformers reads of an exported model; the recipe beside it describes the model."""

    model_type = MODEL_TYPE


class CobraKitModel(PartAccessors, PreTrainedModel, GenerationMixin):  # type: ignore[misc]  # as above
    """The model that `AutoModel` returns for an exported folder.

    Args:
        config: What the folder's `config.json` says.
        model: The composed model.
    """

    config_class = CobraKitConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    accepts_loss_kwargs: ClassVar[bool] = True
    _supports_sdpa: ClassVar[bool] = True

    def __init__(self, config: CobraKitConfig, model: VisionLanguageModel | None = None) -> None:
        super().__init__(config)
        if model is None:
            raise CobraError(
                "a cobra-kit model is not built from its config.json alone",
                hint="Use from_pretrained with the exported folder, or cobra_kit.compose with a recipe.",
            )
        self.model = model
        # As it was: a setting that is changed later is refused by `generate`, not ignored.
        self._generation = self.generation_config.to_dict()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        config: CobraKitConfig | None = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        device_map: Any = None,
        revision: str | None = None,
        **options: Any,
    ) -> CobraKitModel:
        """Returns the model of an exported folder, in eval mode.

        Args:
            name_or_path: The folder, or a hub repository with its files.
            config: Already read from it; None: read it.
            dtype: Floating-point type of the weights; None or `auto`: as they were saved.
            torch_dtype: An older name of `dtype`.
            device_map: One device for everything; None: the CPU; `auto`: the GPU if there is one.
            revision: Branch, tag or commit of the hub repository.
            options: Options that say how transformers finds the files; others are refused.

        Raises:
            WeightsError: A file is missing or damaged, or the weights do not fit.
            CobraError: An option that this model does not have.
        """
        asked = {name for name, value in options.items() if value is not None}
        refuse(asked - OF_THE_LOADER, "from_pretrained", _LOADING)
        folder = local_folder(name_or_path, revision)
        model = VisionLanguageModel.from_pretrained(
            folder, device=device_of(device_map), dtype=dtype_of(torch_dtype if dtype is None else dtype)
        )
        opened = cls(CobraKitConfig.from_pretrained(folder) if config is None else config, model)
        opened.eval()
        return opened

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: Mapping[str, Any] | None = None,
        push_to_hub: bool = False,
        max_shard_size: int | str | None = None,
        **options: Any,
    ) -> None:
        """Writes all files of an exported folder, the weights last.

        Args:
            save_directory: The folder; other files in it stay.
            is_main_process: False writes nothing, so that of many processes one writes.
            state_dict: Weights to write in place of the model's own, in the wrapper's names or the file's; whole.
            push_to_hub: True is refused: nothing is uploaded.
            max_shard_size: The most bytes of one file; there is one, which must not be larger.
            options: `safe_serialization=True`, `save_peft_format` and `save_original_format` ask for nothing else than
                what happens; others are refused by name.

        Raises:
            WeightsError: The weights do not fit the recipe, or cannot be written.
            CobraError: An option that this model does not have.
        """
        accepted = {"safe_serialization": True, "save_peft_format": True, "save_original_format": True}
        accepted |= {"distributed_checkpoint": False}
        asked = {name: value for name, value in options.items() if name != "token"}
        refuse(unlike(asked, accepted), "save_pretrained", _SAVING)
        if push_to_hub:
            hint = "model.push_to_hub(NAME), or `hf upload NAME FOLDER` after saving."
            raise CobraError("save_pretrained of a cobra-kit model does not take push_to_hub", hint=hint)
        if not is_main_process:
            return
        tensors = None if state_dict is None else whole_state(self.model, state_dict, "save_pretrained")
        if max_shard_size is not None:
            size = sum(tensor.nbytes for tensor in (tensors or self.model.state_dict()).values())
            if size > size_in_bytes(max_shard_size):
                raise CobraError(f"the weights are {size:,} bytes, over max_shard_size {max_shard_size}", hint=_SAVING)
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        write_huggingface(self.model, folder, tensors)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads what was saved, in the wrapper's names or the file's, one to one, whatever `strict` says.

        Raises:
            WeightsError: Names are missing or unknown: half a model would answer as if it were whole.
        """
        whole = whole_state(self.model, state_dict, "load_state_dict")
        return super().load_state_dict({f"{PREFIX}{name}": value for name, value in whole.items()}, True, assign)

    def forward(
        self,
        batch: Batch | None = None,
        labels: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        return_dict: bool | None = None,
        **options: Any,
    ) -> CausalLMOutput | tuple[Any, ...]:
        """Returns the logits `[b s vocab_size]` over text and visual tokens as the fusion scheme lays them out.

        And the loss, the mean over supervised tokens, where the batch or `labels` supervise any.

        Args:
            batch: What the processor or the collator returned.
            labels: Labels in place of the batch's own: `[b s]` as the logits, or `[b t]` as `input_ids`.
            input_ids: What the processor returned with the batch; must be what the batch was made of.
            attention_mask: What the processor returned with the batch; the same holds for it.
            num_items_in_batch: What the summed loss is divided by (Trainer: the tokens of all batches of a step).
            return_dict: False returns a tuple.
            options: `use_cache=False` and the like say what happens anyway; others are refused by name.

        Raises:
            CobraError: There is no batch, or an option that this model does not have.
            ShapeError: Labels or ids do not fit the batch.
        """
        accepted = {"use_cache": False, "output_hidden_states": False, "output_attentions": False}
        hint = "Hidden states: a forward hook on the blocks of model.model.backbone.blocks(). The rest is in `batch`."
        refuse(unlike(options, accepted), "forward", hint)
        if batch is None:
            raise _no_batch("forward")
        check_ids(batch, input_ids, attention_mask)
        batch = batch.to(self.device)
        if labels is not None:
            batch = with_labels(batch, labels)
        hidden = self.model.hidden_states(batch)
        output = CausalLMOutput(loss=self._loss(batch, hidden, num_items_in_batch), logits=self.model.logits(hidden))
        return output.to_tuple() if return_dict is False else output

    def _loss(self, batch: Batch, hidden: Tensor, num_items: Tensor | int | None) -> Tensor | None:
        if batch.layout.labels is None:
            return None
        if num_items is None or int(num_items) == batch.num_supervised:
            return self.model.loss(batch, hidden)
        if batch.total_weight != batch.num_supervised:
            raise CobraError(
                "num_items_in_batch counts tokens, but the batch weighs its answers",
                hint="Collate with loss_unit='token', or give the collator's batches without labels.",
            )
        return self.model.loss(batch, hidden, total_weight=float(num_items))

    @torch.no_grad()
    def generate(
        self,
        *,
        batch: Batch | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        max_new_tokens: int = 64,
        **options: Any,
    ) -> Tensor:
        """Returns `[b t + n]`: the prompts' `input_ids` and behind them the greedy answers, padded with the end token.

        Args:
            batch: The prompts, as the processor gives them.
            input_ids: The ids that the processor gives with the batch.
            attention_mask: What the processor gives with the batch; not needed, since `batch` knows every length.
            max_new_tokens: Most tokens per answer.
            options: `do_sample=False`, `num_beams=1` and `use_cache=True` say what happens anyway; others are refused.

        Raises:
            CobraError: The inputs are not the processor's, or an option asks for more than greedy answers.
        """
        if batch is None or input_ids is None:
            raise _no_batch("generate")
        if not isinstance(max_new_tokens, int) or max_new_tokens < 1:
            raise CobraError(f"max_new_tokens must be a number of at least 1, not {max_new_tokens!r}")
        eos = self.model.processor.codec.tokenizer.eos_id
        settings = self.generation_config.to_dict()
        changed = {name: value for name, value in settings.items() if self._generation.get(name) != value}
        refuse_generation(options, changed, eos)
        check_ids(batch, input_ids, attention_mask)
        rows = generate_ids(self.model, batch.to(self.device), DecodeSettings(max_new_tokens, [eos]))
        width = min(max_new_tokens, 1 + max(len(row) for row in rows))  # the end token of the longest answer
        answers = input_ids.new_full((len(rows), width), eos)
        for answer, row in zip(answers, rows, strict=True):
            answer[: len(row)] = torch.tensor(row)
        return torch.cat([input_ids, answers], 1)


def _no_batch(function: str) -> CobraError:
    return CobraError(
        f"{function} needs the inputs that the folder's processor makes",
        hint="inputs = AutoProcessor.from_pretrained(folder, trust_remote_code=True)(images=.., text=..)",
    )
