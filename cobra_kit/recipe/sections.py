"""The sections of a recipe about data, training and evaluation. Every field is described; unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cobra_kit.names import ARM_PATTERN, LONGEST_NAME

STAGES = ("pretrain_text", "instruct_text", "align", "finetune", "full_finetune")
"""The stages of training, in the order they run."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
ProductPrecision = Literal["auto", "float32", "bfloat16"]


class Section(BaseModel):
    """The base of every section: strict, closed, described by docstrings."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class DataSection(Section):
    """A data source and its settings, flat beside `source`; the source itself checks them."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)

    source: str = Field(min_length=1)
    """The data source, as `cobra-kit plugins list --kind data_source` has it, or by a short name that is unique."""

    def settings(self) -> dict[str, Any]:
        """Returns the source's own keys."""
        return dict(self.model_extra or {})


class ListedSource(DataSection):
    """One of several data sources, with its share of an epoch."""

    weight: Positive = 1.0
    """How often an epoch has its rows: 1 each once, 2 each twice, 0.5 a half of them, drawn by the seed."""


class CurriculumSection(Section):
    """The beginning of a stage: questions of some kinds only, which the rest then builds on."""

    kinds: Annotated[list[str], Field(min_length=1)]
    """Kinds of question, as the data source names them, such as `count`."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """For which share of the stage's steps."""

    def steps_of(self, steps: int) -> int:
        """Returns how many of a stage's steps the curriculum lasts."""
        return round(self.share * steps)


class StageSection(Section):
    """The settings of one stage of training. Its length is given in `epochs` or in `steps`."""

    epochs: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    """Passes over the training rows; a fraction is rounded up to whole steps."""
    steps: Count | None = None
    """How many optimiser steps the stage takes."""
    batch_size: BatchSize = 16
    """Rows per optimiser step."""
    micro_batch_size: BatchSize | None = None
    """Rows per forward pass; null: the whole batch at once. It changes memory, not the gradient."""
    learning_rate: Positive = 1e-3
    """Highest learning rate, reached at the end of the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.05
    """AdamW's decay; biases and one-dimensional tensors have none."""
    betas: tuple[Beta, Beta] = (0.9, 0.98)
    """AdamW's decay rates of the first and the second moment."""
    warmup_ratio: Ratio = 0.03
    """Share of the steps in which the learning rate rises linearly."""
    final_lr_ratio: Ratio = 0.05
    """Where the cosine ends, as a share of the highest learning rate."""
    curriculum: CurriculumSection | None = None
    """What the stage begins with; null: everything from the first step on."""
    loss_unit: Literal["token", "answer"] = "token"
    """What counts the same in the loss: every supervised token (the paper's), or every answer, long or short."""
    max_grad_norm: Positive | None = 1.0
    """Gradients are scaled down to this norm; null: never."""
    max_cut_share: Ratio | None = None
    """Most share of the supervised tokens that the backbone's `max_text_tokens` may cut from long rows; more is refused
    before training. null: 0.01, and whatever it is where `train_run` is called from Python, which then warns only."""
    precision: ProductPrecision = "auto"
    """What matrix products are computed in: `bfloat16` (autocast: weights, gradients and states stay float32),
    `float32`, or `auto`: bfloat16 on a GPU that has it, float32 elsewhere."""

    @model_validator(mode="after")
    def _has_one_length(self) -> StageSection:
        if (self.epochs is None) == (self.steps is None):
            given = "neither" if self.epochs is None else "both"
            raise ValueError(f"expected either epochs or steps, found {given} (null switches one off)")
        return self

    @model_validator(mode="after")
    def _micro_batch_fits(self) -> StageSection:
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise ValueError(f"expected micro_batch_size of at most batch_size, found {self.micro_batch_size}")
        return self

    @model_validator(mode="after")
    def _curriculum_has_steps(self) -> StageSection:
        if self.curriculum is not None and self.steps is not None:
            first = self.curriculum.steps_of(self.steps)
            if not 0 < first < self.steps:
                most = "all" if first else "none"
                text = f"found {self.curriculum.share:g} of {self.steps}, which is {most}"
                raise ValueError(f"expected curriculum.share to be some of the steps, {text}")
        return self


class TrainSection(Section):
    """The stages of training, run in this order; one that is absent or null is not run."""

    pretrain_text: StageSection | None = None
    """The backbone alone learns to go on with plain text (a base model), without images."""
    instruct_text: StageSection | None = None
    """The backbone alone learns from conversations without images (a chat model)."""
    align: StageSection | None = None
    """The projector alone learns to caption: first answers, prompts thrown away."""
    finetune: StageSection | None = None
    """Projector, fusion scheme and backbone learn from conversations."""
    full_finetune: StageSection | None = None
    """The vision encoder learns too, so its features cannot be computed once."""

    def stages(self) -> dict[str, StageSection]:
        """Returns the stages that run, by name, in order."""
        sections = {name: getattr(self, name) for name in STAGES}
        return {name: stage for name, stage in sections.items() if stage is not None}

    @model_validator(mode="after")
    def _has_a_stage(self) -> TrainSection:
        if not self.stages():
            raise ValueError(f"expected at least one stage: {', '.join(STAGES)}")
        return self


class ValidationSection(Section):
    """A look at the validation split while training; it selects, it is never reported as a result."""

    every_steps: Count = 400
    """Optimiser steps between two looks."""
    questions: Count = 128
    """Questions asked per look."""
    keep: Literal["last", "best"] = "last"
    """Weights that a stage ends with: the last (the paper's), or those of the look with the best mean accuracy."""


class PrecisionSection(Section):
    """The precision of a trained model while it answers; training is not touched."""

    weights: Literal["trained", "float32", "bfloat16", "int8"] = "trained"
    """Of projector, fusion scheme and backbone: as they were trained, in another type, or the backbone's linear layers
    in 8 bits; what a backbone never quantises keeps its type."""
    state: Literal["kept", "bfloat16"] = "kept"
    """What a backbone remembers between two tokens: as it keeps it, or rounded after every token, prompts too."""

    @property
    def label(self) -> str:
        """Returns it in a few words."""
        return f"weights {self.weights}, state {self.state}"


class NamedBenchmark(Section):
    """A benchmark of a plugin and its settings, flat beside `use`; the benchmark itself checks them."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)

    use: str = Field(min_length=1)
    """The benchmark, as `cobra-kit plugins list --kind benchmark` has it, such as `benchmarks/vqav2`."""
    name: Annotated[str, Field(pattern=ARM_PATTERN, max_length=LONGEST_NAME)] | None = None
    """What its column and its files are called; null: as the benchmark is, without the plugin's name."""
    root: Annotated[str, Field(min_length=1)] | None = None
    """The folder that relative paths of its settings start at; null: the working directory."""
    split: Annotated[str, Field(min_length=1)] | None = None
    """The split that is asked, as the files call it; null: the protocol's."""
    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Most tokens of a generated answer; null: as its protocol says."""

    @property
    def column(self) -> str:
        """Returns the name of its column and its files."""
        return self.name or self.use.rpartition("/")[2]

    def settings(self) -> dict[str, Any]:
        """Returns the benchmark's own keys."""
        return dict(self.model_extra or {})


class NamedTracker(Section):
    """A tracker and its settings, flat beside `use`; the tracker itself checks them."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)

    use: str = Field(min_length=1)
    """The tracker, as `cobra-kit plugins list --kind tracker` has it, such as `trackers/tensorboard`."""


class EvaluateSection(Section):
    """The settings by which a trained model is evaluated."""

    benchmarks: list[str | NamedBenchmark] | None = None
    """The benchmarks: names of those that the data source offers, and those of any plugin by qualified names, such as
    `scenes/presence`, or with settings, such as `{use: benchmarks/vqav2, root: data/vqav2}`. null: all that the data
    source offers. With an empty list, or a source that has none, models are trained and tables say that nothing was
    evaluated. Those of plugins are asked in the end; validation and searches ask the source's own."""
    max_new_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 40
    """Most tokens of a generated answer, where the protocol of a benchmark says nothing else."""
    batch_size: BatchSize = 64
    """Questions answered together."""
    precision: PrecisionSection | None = None
    """How exactly the model is computed while it answers; null: as it was trained. Arms may differ in it."""
    validation: ValidationSection | None = None
    """Validation during training; null: none."""

    @property
    def own_benchmarks(self) -> list[str] | None:
        """Returns the chosen benchmarks of the data source; None: all that it offers."""
        if self.benchmarks is None:
            return None
        return [entry for entry in self.benchmarks if isinstance(entry, str) and "/" not in entry]

    def columns(self) -> list[str]:
        """Returns the names of the columns that are listed, in order."""
        named = self.named_benchmarks()
        return [named[i].column if i in named else str(entry) for i, entry in enumerate(self.benchmarks or ())]

    def named_benchmarks(self) -> dict[int, NamedBenchmark]:
        """Returns the benchmarks of plugins by their places in the list."""
        return {
            index: NamedBenchmark(use=entry) if isinstance(entry, str) else entry
            for index, entry in enumerate(self.benchmarks or ())
            if not isinstance(entry, str) or "/" in entry
        }
