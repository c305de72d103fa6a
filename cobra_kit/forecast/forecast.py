"""A forecast of a recipe, arm by arm: sizes, FLOPs, memory, time here and elsewhere, and what is not here yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cobra_kit.errors import CobraError, DataError, ImageError
from cobra_kit.estimate.counting import ModelCount, PassCount, count_model, count_pass
from cobra_kit.estimate.hardware import CPU
from cobra_kit.estimate.missing import by_what, missing_benchmarks, missing_packages, missing_weights
from cobra_kit.estimate.missing_data import Missing, missing_data
from cobra_kit.estimate.sample import Sample, sample_of
from cobra_kit.estimate.workload import Assumed, Workload, workload
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.forecast.plans import RunPlan, StudyPlan
from cobra_kit.forecast.runtime_estimate import RuntimeEstimate, runtime_estimate, too_long
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.sections import StageSection
from cobra_kit.train.stages import STAGES


@dataclass(frozen=True, slots=True)
class StageForecast:
    """One stage of an arm.

    Args:
        work: The work that the stage has to do.
        device_pass: A micro-batch on one accelerator, computing in bfloat16.
        local_pass: A micro-batch on this machine's processor, in float32; None where it was not asked for.
        encoder_frozen: Whether the encoder's features are computed once.
    """

    work: Workload
    device_pass: PassCount
    local_pass: PassCount | None
    encoder_frozen: bool

    @property
    def row_flops(self) -> float:
        """Returns forward and backward of a row, encoding left out where it is done once."""
        encoding = 0.0 if self.encoder_frozen else self.device_pass.encoder_flops
        return (self.device_pass.step_flops + encoding) / self.device_pass.rows

    @property
    def flops(self) -> float:
        """Returns the FLOPs of all steps."""
        return self.row_flops * self.work.steps * self.work.batch_size


@dataclass(frozen=True, slots=True)
class ArmForecast:
    """A forecast of what one arm of a recipe will take.

    Args:
        arm: Name of the arm.
        seeds: How many times it is trained.
        count: Sizes of the model; None where it cannot be built.
        stages: The forecast of each stage, in order of training.
        missing: What a run needs and this machine lacks.
        local: What it takes on this machine; None where that was not asked for or could not be measured.
        local_problem: Why it could not.
        problem: Why there is no forecast at all.
    """

    arm: str
    seeds: int
    count: ModelCount | None = None
    stages: tuple[StageForecast, ...] = ()
    missing: tuple[Missing, ...] = ()
    local: RuntimeEstimate | None = None
    local_problem: str | None = None
    problem: str | None = None

    @property
    def encoding_flops(self) -> float:
        """Returns the FLOPs of encoding every training image once, where features are kept."""
        frozen = [stage for stage in self.stages if stage.encoder_frozen and stage.work.row.images]
        if not frozen:
            return 0.0
        images = [stage.device_pass.rows * stage.work.row.images for stage in frozen]
        per_image = max(stage.device_pass.encoder_flops / count for stage, count in zip(frozen, images, strict=True))
        return per_image * max(stage.work.image_count for stage in frozen)

    @property
    def flops(self) -> float:
        """Returns the FLOPs of one training of the arm."""
        return self.encoding_flops + sum(stage.flops for stage in self.stages)

    @property
    def feature_bytes(self) -> int:
        """Returns what the kept features take on disk, float16."""
        if self.count is None or not any(stage.encoder_frozen for stage in self.stages):
            return 0
        image_count = max(stage.work.image_count for stage in self.stages if stage.encoder_frozen)
        return 2 * image_count * self.count.encoder_tokens * self.count.encoder_width


@dataclass(frozen=True, slots=True)
class Forecast:
    """All arms of a recipe.

    Args:
        plan: The plan that was asked about.
        devices: How many accelerators share the work.
        arms: The forecast of each arm, in the recipe's order.
        notes: What a reader should know about the data.
    """

    plan: StudyPlan
    devices: int
    arms: tuple[ArmForecast, ...]
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Returns what any arm lacks, each thing once."""
        return tuple(by_what([lacking for arm in self.arms for lacking in arm.missing]).values())

    def local_seconds(self) -> float | None:
        """Returns the seconds of the whole study on this machine; None unless every arm's are known.

        Images are drawn once, arms with the same encoder share its features, and those that train alike the training.
        """
        total, seen, trained = 0.0, set[str](), set[str]()
        for arm in self.arms:
            if arm.local is None:
                return None
            run = next(run for run in self.plan.runs if run.arm == arm.arm)
            encoder = json.dumps(run.resolved.parts["vision_encoder"].plain(), sort_keys=True)
            shared = arm.local.features if encoder not in seen else 0.0
            shared += arm.local.starting + arm.local.drawing if not seen else 0.0
            seen.add(encoder)
            spared = arm.local.training + arm.local.validation if run.trained in trained else 0.0
            trained.add(run.trained)
            total += shared + arm.seeds * (arm.local.per_training - spared)
        return total


def forecast(
    plan: StudyPlan,
    *,
    hardware: Sequence[str],
    devices: int = 1,
    assumed: Assumed | None = None,
    fresh: bool = False,
    report: Reporter = silent,
) -> Forecast:
    """Returns what a plan will take.

    Args:
        plan: What `make_plan` returned.
        hardware: Names; `cpu` among them measures this machine for some seconds, unless it is known.
        devices: Accelerators that share the work.
        assumed: What the user knows about the data.
        fresh: Whether this machine is measured again.
        report: Told what takes seconds.

    Raises:
        RecipeError: A setting of the data is wrong.
        DataError: The data are broken.
    """
    arms, notes = [], dict[str, None]()
    for arm in plan.arms:
        run = next(run for run in plan.runs if run.arm == arm)
        report(Message(text=f"looking at {arm}"))
        lacking = [*missing_data(run.resolved.recipe), *missing_benchmarks(run.resolved.recipe)]
        with _sample(run.resolved.recipe, lacking) as sample:
            try:
                arms.append(_arm(run, len(plan.seeds), sample, lacking, hardware, devices, assumed or Assumed(), fresh))
            except (DataError, ImageError):
                raise
            except CobraError as error:
                problem = error.message + (f" ({error.hint.splitlines()[0]})" if error.hint else "")
                arms.append(ArmForecast(arm, len(plan.seeds), problem=problem))
    for forecasted in arms:
        notes |= {f"{stage.work.stage}: {stage.work.basis}": None for stage in forecasted.stages}
    return Forecast(plan, devices, tuple(arms), tuple(notes))


@contextmanager
def _sample(recipe: Recipe, lacking: Sequence[Missing]) -> Iterator[Sample | None]:
    """Yields a sample of the data, or None where they are not here."""
    if lacking:
        yield None
    else:
        with sample_of(recipe) as sample:
            yield sample


def _arm(
    run: RunPlan,
    seeds: int,
    sample: Sample | None,
    lacking: Sequence[Missing],
    hardware: Sequence[str],
    devices: int,
    assumed: Assumed,
    fresh: bool,
) -> ArmForecast:
    import torch

    resolved = run.resolved
    model, count = count_model(resolved)
    missing = [*missing_packages(resolved), *missing_weights(model, resolved), *lacking]
    stages = []
    for name, settings in run.train.stages().items():
        stage = STAGES[name]
        work = workload(
            resolved,
            name,
            settings,
            sample,
            captions=stage.captions,
            text_only=stage.text,
            assumed=assumed,
        )
        local = None
        if CPU in hardware:
            local = count_pass(model, resolved, stage.trains, work.row, rows=work.micro_batch, dtype=torch.float32)
        rows = device_rows(settings, devices)
        passed = count_pass(model, resolved, stage.trains, work.row, rows=rows, dtype=torch.bfloat16)
        stages.append(StageForecast(work, passed, local, stage.frozen_encoder))
    arm = ArmForecast(run.arm, seeds, count, tuple(stages), tuple(missing))
    if CPU not in hardware:
        return arm
    return _with_local(arm, run, sample, fresh)


def device_rows(settings: StageSection, devices: int) -> int:
    """Returns the rows of a forward pass on one of several accelerators."""
    return min(settings.micro_batch_size or settings.batch_size, max(1, settings.batch_size // devices))


def _with_local(arm: ArmForecast, run: RunPlan, sample: Sample | None, fresh: bool) -> ArmForecast:
    if arm.missing or sample is None:
        return replace(arm, local_problem="not measured: something it needs is not here")
    longest = too_long([stage.local_pass for stage in arm.stages if stage.local_pass is not None])
    if longest is not None:
        return replace(arm, local_problem=longest)
    return replace(arm, local=runtime_estimate(run, [stage.work for stage in arm.stages], sample, fresh=fresh))
