"""A composed model as transformers sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from cobra_kit.errors import CobraError
from cobra_kit.exchange.huggingface.folder import MODEL_TYPE, write_huggingface
from cobra_kit.exchange.huggingface.locate import local_folder
from cobra_kit.model import Batch, VisionLanguageModel
from cobra_kit.model.decoding import generate_ids

_OF_THE_LOADER = {
    "_from_auto",
    "adapter_kwargs",
    "cache_dir",
    "force_download",
    "local_files_only",
    "low_cpu_mem_usage",
    "proxies",
    "subfolder",
    "token",
    "trust_remote_code",
    "use_safetensors",
}
_GREEDY = {"do_sample": False, "num_beams": 1, "use_cache": True}


class CobraKitConfig(PretrainedConfig):  # type: ignore[misc]  # transformers' classes have no types here
    """What transformers is told about an exported model; the recipe beside it describes the model."""

    model_type = MODEL_TYPE


class CobraKitModel(PreTrainedModel, GenerationMixin):  # type: ignore[misc]  # as above
    """What `AutoModel` returns for an exported folder.

    Args:
        config: From the folder's `config.json`.
        model: The composed model.
    """

    config_class = CobraKitConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _supports_sdpa: ClassVar[bool] = True

    def __init__(self, config: CobraKitConfig, model: VisionLanguageModel | None = None) -> None:
        super().__init__(config)
        if model is None:
            raise CobraError(
                "a cobra-kit model is not built from its config.json alone",
                hint="Use from_pretrained with the exported folder, or cobra_kit.compose with a recipe.",
            )
        self.model = model

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
            dtype: Of the weights; None or `auto`: as they were saved.
            torch_dtype: An older name of `dtype`.
            device_map: One device for everything; None: the CPU; `auto`: the GPU if there is one.
            revision: Of the hub repository.
            options: Those that say how transformers finds the files; others are refused.

        Raises:
            WeightsError: A file is missing or damaged, or the weights do not fit.
            CobraError: An option that this model does not have.
        """
        _refuse({name for name, value in options.items() if value is not None} - _OF_THE_LOADER, "from_pretrained")
        folder = local_folder(name_or_path, revision)
        model = VisionLanguageModel.from_pretrained(
            folder, device=_device(device_map), dtype=_dtype(torch_dtype if dtype is None else dtype)
        )
        opened = cls(CobraKitConfig.from_pretrained(folder) if config is None else config, model)
        opened.eval()
        return opened

    def save_pretrained(self, save_directory: str | os.PathLike[str], **_: Any) -> None:
        """Writes all files of an exported folder, the weights last."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        write_huggingface(self.model, folder)

    def forward(self, batch: Batch, **_: Any) -> CausalLMOutput:
        """Returns the logits `[b s vocab_size]` over text and visual tokens as the fusion scheme lays them out."""
        hidden = self.model.hidden_states(batch.to(self.device))
        return CausalLMOutput(logits=self.model.backbone.logits(hidden))

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
            batch: From the processor.
            input_ids: From the processor.
            attention_mask: From the processor; not needed, since `batch` knows every length.
            max_new_tokens: Most tokens per answer.
            options: `do_sample=False`, `num_beams=1` and `use_cache=True` say what happens anyway; others are refused.

        Raises:
            CobraError: The inputs are not the processor's, or an option asks for more than greedy answers.
        """
        if batch is None or input_ids is None:
            raise CobraError(
                "generate needs the inputs that the folder's processor makes",
                hint="inputs = AutoProcessor.from_pretrained(folder, trust_remote_code=True)(images=.., text=..)",
            )
        _refuse(
            {name for name, value in options.items() if value is not None and _GREEDY.get(name) != value}, "generate"
        )
        eos = self.model.processor.codec.tokenizer.eos_id
        rows = generate_ids(self.model, batch.to(self.device), max_new_tokens=max_new_tokens, stop_ids=[eos])
        width = min(max_new_tokens, 1 + max(len(row) for row in rows))  # the end token of the longest answer
        answers = input_ids.new_full((len(rows), width), eos)
        for answer, row in zip(answers, rows, strict=True):
            answer[: len(row)] = torch.tensor(row)
        return torch.cat([input_ids, answers], 1)


def _refuse(options: set[str], function: str) -> None:
    if options:
        raise CobraError(
            f"{function} of a cobra-kit model does not take {', '.join(sorted(options))}",
            hint="It answers greedily, and loads on one device in one dtype. cobra_kit.load gives the model itself.",
        )


def _dtype(wanted: torch.dtype | str | None) -> torch.dtype | None:
    if wanted is None or wanted == "auto" or isinstance(wanted, torch.dtype):
        return wanted if isinstance(wanted, torch.dtype) else None
    found = getattr(torch, wanted.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise CobraError(f"no floating-point dtype named {wanted!r}", hint="Such as bfloat16.")
    return found


def _device(device_map: Any) -> torch.device:
    if device_map is None:
        return torch.device("cpu")
    if isinstance(device_map, dict):
        devices = set(device_map.values())
        if len(devices) != 1:
            raise CobraError(f"device_map names {len(devices)} devices; this model is on one", hint="device_map='cuda'")
        device_map = devices.pop()
    if device_map == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device_map)
