"""Pretrains one backbone: texts, the training core's stages, the rounding of its file, probes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from cobra_kit._plugins import attributed, call_component
from cobra_kit.errors import TrainingError, WeightsError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import write_text
from cobra_kit.interfaces import Backbone, TextProbes
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.filling import fill
from cobra_kit.model.seeding import part_generator
from cobra_kit.recipe.pretraining import recipe_hash
from cobra_kit.text.vocabulary import vocabulary_digest
from cobra_kit.train.backbones.recipe import BackbonePlan
from cobra_kit.train.backbones.text_model import codec_of, text_model
from cobra_kit.train.loop import TrainIntervals
from cobra_kit.train.results import StageResult
from cobra_kit.train.run import RunSettings, train_run

INTERVALS = TrainIntervals(log_steps=100, save_seconds=60.0, report_steps=100)
_OWNER = "recipe"
"""The file in a run's folder that says whose it is."""


@dataclass(frozen=True, slots=True)
class PretrainedBackbone:
    """The result of pretraining.

    Args:
        backbone: The backbone; each of its weights is a float16 number, as the file holds it.
        vocabulary: The digest of the vocabulary that it was trained with.
        stages: What each stage took; none where it was only probed.
        probes: What it can do.
        data: A sentence on what it has read.
    """

    backbone: Backbone
    vocabulary: str
    stages: tuple[StageResult, ...]
    probes: TextProbes
    data: str = ""

    @property
    def seconds(self) -> float:
        """Returns the seconds spent in steps, by the clock."""
        return sum(stage.seconds for stage in self.stages)


def pretrain_backbone(
    plan: BackbonePlan, *, resume: Path | None = None, report: Reporter = silent
) -> PretrainedBackbone:
    """Pretrains the backbone of a recipe on the texts of its task.

    The same recipe gives the same weights on one machine with one thread (`torch.set_num_threads(1)`).

    Args:
        plan: What `load_backbone_recipe` returned.
        resume: The folder that keeps what a killed run needs to go on; it is read first, and removed at the end.
        report: Told about everything that takes time.

    Raises:
        TrainingError: The loss is not finite, or the folder belongs to another recipe.
        WeightsError: The weights that the backbone's settings name cannot be loaded, or do not fit float16.
        KeyboardInterrupt: Somebody pressed Ctrl-C; everything is saved.
    """
    model, section = build_model(plan), plan.recipe.train.stages()
    with _folder(resume, plan) as folder, attributed((plan.part.component, plan.task)):
        task = plan.task.load_backbone_pretraining()(plan.recipe)
        stages: tuple[StageResult, ...] = ()
        if section is not None:
            settings = RunSettings(section, seed=plan.recipe.train.seed, intervals=INTERVALS)
            stages = train_run(model, task.source(), settings, folder, report=report).stages
        _round(model.backbone)
        report(Message(text="probing"))
        probes = task.probe(model)
    digest = vocabulary_digest(model.processor.codec.tokenizer)
    return PretrainedBackbone(model.backbone, digest, stages, probes, task.description())


def build_model(plan: BackbonePlan) -> VisionLanguageModel:
    """Returns a model that reads text, the backbone with the weights that its settings name.

    Random weights are drawn from the recipe's seed, and are those of `compose` with that seed.
    """
    component, config = plan.component, plan.config
    cls = component.load_class()
    with torch.device("meta"):
        backbone = call_component(component, cls, config)
    assert isinstance(backbone, Backbone)
    fill(backbone, component, part_generator(plan.recipe.train.seed, "backbone", backbone), pretrained=True)
    return text_model(backbone, component, codec_of(component, config))


@torch.no_grad()
def _round(backbone: Backbone) -> None:
    """Rounds the weights to what the file holds, so that probes tell of the file."""
    for name, tensor in backbone.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(tensor.to(torch.float16))
            if not torch.isfinite(tensor).all():
                raise WeightsError(
                    f"{name} does not fit float16", hint="Lower train's learning_rate, or raise its weight_decay."
                )


@contextmanager
def _folder(resume: Path | None, plan: BackbonePlan) -> Iterator[Path]:
    if resume is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    _claim(resume, plan)
    yield resume
    shutil.rmtree(resume, ignore_errors=True)


def _claim(folder: Path, plan: BackbonePlan) -> None:
    """Makes the folder this recipe's, or refuses it as another's."""
    file, own = folder / _OWNER, recipe_hash(plan.recipe)
    try:
        if folder.exists() and (not file.is_file() or file.read_text(encoding="utf-8", errors="replace") != own):
            raise TrainingError(
                "an unfinished run of another recipe stands here",
                where=str(folder),
                hint="Remove the folder to start over, or give another --out.",
            )
        folder.mkdir(exist_ok=True)
        write_text(file, own)
    except OSError as error:
        hint = "Choose an --out in a folder that is there and can be written to."
        raise TrainingError(f"cannot be written: {error.strerror or error}", where=str(folder), hint=hint) from error
