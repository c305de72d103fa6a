"""Everything the doctor looks at, in one pass, as data."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cobra_kit import __version__
from cobra_kit._plugins import default_registry
from cobra_kit.doctor.cache import CacheFolder, cache_folder
from cobra_kit.doctor.plugins import PluginDiagnosis, diagnoses, plugin_problems
from cobra_kit.errors import RecipeError
from cobra_kit.formatting import gibibytes
from cobra_kit.machine import Gpu, cores, driver_version, gpus, memory_bytes, package_versions, processor, vector_bits

if TYPE_CHECKING:
    from cobra_kit.doctor.kernels import ModelKernels

PACKAGES = (
    "torch",
    "triton",
    "transformers",
    "timm",
    "open_clip_torch",
    "mamba-ssm",
    "causal-conv1d",
    "optuna",
)
DEFAULT_RECIPE = "cobra_tiny"
_PREFIX, _STORAGE = "COBRA_KIT_", "COBRA_KIT_STORAGE"


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that the doctor found on this machine.

    Args:
        versions: Per package its version, or None where it is not installed.
        machine: What the processor is, as (name, value).
        gpus: The GPUs that torch sees.
        cuda: The CUDA version that torch was built with, and the driver's; None where there is none.
        settings: Our environment variables that are set.
        cache: Where downloads, features and kernels are kept.
        diagnoses: What plugins say about what they need.
        models: The kernels that each backbone looked at would run.
        broken: What should work and does not.
    """

    versions: dict[str, str | None]
    machine: tuple[tuple[str, str], ...]
    gpus: tuple[Gpu, ...]
    cuda: tuple[str | None, str | None]
    settings: dict[str, str]
    cache: CacheFolder
    diagnoses: tuple[PluginDiagnosis, ...]
    models: tuple[ModelKernels, ...]
    broken: tuple[str, ...]

    @property
    def remedy(self) -> str | None:
        """Returns the one line that would make it faster, or None.

        A kernel's remedy comes first, the one that helps most layers; then what plugins and the cache lack.
        """
        helped: dict[str, int] = {}
        for group in (group for model in self.models for group in model.groups):
            if group.remedy is not None:
                helped[group.remedy] = helped.get(group.remedy, 0) + group.count
        if helped:
            return max(helped, key=helped.__getitem__)
        others = [named.diagnosis.remedy for named in self.diagnoses if not named.diagnosis.broken]
        return next((remedy for remedy in (*others, self.cache.remedy) if remedy is not None), None)


def examine(
    recipe: str | None = None,
    *,
    backbone: str | None = None,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    dtype: str | None = None,
) -> Examination:
    """Looks at everything.

    Args:
        recipe: Whose backbones to ask for their kernels; None, without `backbone`: the packaged `cobra_tiny`.
        backbone: A component to ask instead, with its default settings.
        profile: Name of the recipe's profile.
        overrides: Settings of the recipe, as `--set` takes them.
        device: `auto`, `cpu`, `cuda`.
        dtype: `float32`, `bfloat16` or `float16`; None: float32.

    Raises:
        CobraError: The recipe, the backbone, the device or the dtype is not there.
    """
    registry = default_registry()
    broken = plugin_problems(registry)
    problem = torch_problem()
    models: list[ModelKernels] = []
    devices: tuple[Gpu, ...] = ()
    if problem is None:
        from cobra_kit.doctor.kernels import models_asked

        asked = recipe or (None if backbone else DEFAULT_RECIPE)
        try:
            models = models_asked(
                asked, backbone=backbone, profile=profile, overrides=overrides, device=device, dtype=dtype
            )
        except RecipeError as error:
            if recipe is not None:
                raise
            broken.append(f"{DEFAULT_RECIPE}: {' '.join(str(error).split())}")  # nobody asked for it: show the rest
        devices = gpus()
        broken += [f"kernels of {model.name}: {model.problem}" for model in models if model.problem]
    else:
        broken.append(problem)
    looked = diagnoses(registry)  # after the kernels: asking for them may have compiled some
    broken += [
        f"{named.plugin}: {named.diagnosis.what}: {named.diagnosis.found}" for named in looked if named.diagnosis.broken
    ]
    return Examination(
        versions={"cobra-kit": __version__, "python": platform.python_version(), **package_versions(PACKAGES)},
        machine=_machine(problem is None),
        gpus=devices,
        cuda=(_cuda_build() if problem is None else None, driver_version()),
        settings={
            name: _redacted(name, value) for name, value in sorted(os.environ.items()) if name.startswith(_PREFIX)
        },
        cache=cache_folder(),
        diagnoses=tuple(looked),
        models=tuple(models),
        broken=tuple(broken),
    )


def torch_problem() -> str | None:
    """Returns why torch cannot be imported, or None."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"torch cannot be imported: {error}"
    return None if hasattr(torch, "__version__") else "torch cannot be imported: the package is empty"


def _machine(with_torch: bool) -> tuple[tuple[str, str], ...]:
    memory, bits = memory_bytes(), vector_bits()
    threads = ""
    if with_torch:
        import torch

        threads = f", {torch.get_num_threads()} used by torch"
    facts = [
        ("processor", processor()),
        ("cores", f"{cores()}{threads}"),
        ("vectors", f"{bits} bit" if bits else "unknown"),
        ("memory", gibibytes(memory) if memory else "unknown"),
        ("system", platform.platform()),
    ]
    return tuple(facts)


def _cuda_build() -> str | None:
    import torch

    version: Any = torch.version.cuda
    return version if isinstance(version, str) else None


def _redacted(name: str, value: str) -> str:
    """Returns a setting's value; an address may hold a password, which nobody wants in a bug report."""
    return "(set)" if "://" in value or name == _STORAGE else value
