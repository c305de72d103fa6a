"""The kernels that a backbone would use on a device, without its weights; equal layers are told once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from cobra_kit.errors import CobraError, KernelError, kind_of
from cobra_kit.interfaces import Backbone, KernelReport

_NUMBER = re.compile(r"(?<![^.\s])\d+(?![^.\s])")


@dataclass(frozen=True, slots=True)
class KernelGroup:
    """Layers that use one kernel for one reason.

    Args:
        layers: Their common name, numbers as ranges: `backbone.layers.0-47.mixer scan`.
        count: How many layers they are.
        kernel: Name of the kernel.
        reason: Why this one.
        remedy: What would make it faster, or None.
    """

    layers: str
    count: int
    kernel: str
    reason: str
    remedy: str | None


def kernels_on(backbone: Backbone, device: torch.device, dtype: torch.dtype | None = None) -> list[KernelGroup]:
    """Returns the kernels that a backbone would use on a device.

    Args:
        backbone: The backbone, on any device. Its parameters are replaced by tensors on `device`, without gaps, that
            all share one piece of memory, as large as the largest of them; nothing is written there.
        device: The device that it would run on.
        dtype: Floating-point type of its weights, but for those it lists as `never_quantise`; None: as they are.

    Raises:
        KernelError: The backbone cannot say.
    """
    _stand_in(backbone, device, dtype)
    try:
        return grouped(backbone.kernels())
    except CobraError:
        raise
    except Exception as error:
        raise KernelError(f"kernels() of the backbone failed: {type(error).__name__}: {error}") from error


def grouped(reports: Sequence[KernelReport]) -> list[KernelGroup]:
    """Returns the reports with those joined that differ in the number within the layer's name only."""
    groups: dict[tuple[str, str, str, str | None], list[str]] = {}
    for report in reports:
        if not isinstance(report, KernelReport):
            raise KernelError(f"kernels() of the backbone gave {kind_of(report)}, expected KernelReports")
        pattern = _NUMBER.sub("{}", report.layer, count=1)
        groups.setdefault((pattern, report.kernel, report.reason, report.remedy), []).append(report.layer)
    return [
        KernelGroup(_joined(pattern, names), len(names), kernel, reason, remedy)
        for (pattern, kernel, reason, remedy), names in groups.items()
    ]


def _stand_in(backbone: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    keep = tuple(f".{name}" for name in getattr(backbone, "never_quantise", ()))
    wider = 0 if dtype is None else dtype.itemsize
    largest = max((p.numel() * max(p.element_size(), wider) for p in backbone.parameters()), default=0)
    memory = torch.empty(largest, device=device, dtype=torch.uint8)
    for prefix, module in backbone.named_modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            converted = parameter.is_floating_point() and not f".{prefix}.{name}".endswith(keep)
            wanted = dtype if dtype is not None and converted else parameter.dtype
            size = parameter.numel() * wanted.itemsize
            shared = memory[:size].view(wanted).view(parameter.shape)
            setattr(module, name, nn.Parameter(shared, requires_grad=False))


def _joined(pattern: str, names: Sequence[str]) -> str:
    """Returns `layers.0-3,5.scan` for the layers 0, 1, 2, 3 and 5."""
    numbers = sorted(int(match.group()) for name in names if (match := _NUMBER.search(name)))
    if not numbers:
        return pattern
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], number]
        else:
            ranges.append([number, number])
    return pattern.format(",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges))
