"""A forecast as JSON has it: the same figures, unrounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cobra_kit.cli.plan_text import assumptions, trained_kinds
from cobra_kit.estimate.calibration import PAPER_RUN, TEXT_TOKENS, implied_utilisation
from cobra_kit.estimate.hardware import CPU, HARDWARE
from cobra_kit.estimate.hours import SMALLEST, cost
from cobra_kit.estimate.memory import footprints
from cobra_kit.forecast.forecast import ArmForecast, Forecast, StageForecast


def to_json(forecast: Forecast, names: Sequence[str], price: float | None) -> dict[str, Any]:
    """Returns the forecast as plain data; arguments as in `plan_text.render`."""
    return {
        "recipe": forecast.plan.recipe.name,
        "profile": forecast.plan.recipe.profile,
        "devices": forecast.devices,
        "arms": {arm.arm: _arm(forecast, arm, names, price) for arm in forecast.arms},
        "this_cpu_seconds": forecast.local_seconds() if CPU in names else None,
        "missing": [asdict(missing) for missing in forecast.missing],
        "utilisation": {
            "value": implied_utilisation(),
            "run": asdict(PAPER_RUN),
            "text_tokens": TEXT_TOKENS,
        },
        "assumptions": assumptions(forecast, names, price),
    }


def _arm(forecast: Forecast, arm: ArmForecast, names: Sequence[str], price: float | None) -> dict[str, Any]:
    if arm.count is None:
        return {"problem": arm.problem}
    count = arm.count
    large = max(stage.device_pass.trainable for stage in arm.stages) >= SMALLEST
    return {
        "seeds": arm.seeds,
        "parameters": {
            "total": count.total,
            "trainable": count.trainable(trained_kinds(arm)),
            "without_unused_heads": count.without_unused_heads,
            "running": count.running,
            "parts": {kind: asdict(part) for kind, part in count.parts.items()},
        },
        "image_tokens": count.image_tokens,
        "stages": [_stage(forecast, stage, count.image_tokens) for stage in arm.stages],
        "encoding_flops": arm.encoding_flops,
        "feature_bytes": arm.feature_bytes,
        "flops": arm.flops,
        "hardware": {
            name: asdict(cost(arm.flops, HARDWARE[name], forecast.devices, price=price)) if large else None
            for name in names
            if name in HARDWARE
        },
        "this_cpu": {**asdict(arm.local), "total": arm.local.total} if arm.local else {"problem": arm.local_problem},
        "missing": [asdict(missing) for missing in arm.missing],
    }


def _stage(forecast: Forecast, stage: StageForecast, image_tokens: int) -> dict[str, Any]:
    device_pass = stage.device_pass
    work = asdict(stage.work)
    work["pictures"] = work.pop("image_count")  # as it was called when the first readers were written
    return {
        **work,
        "row_tokens": stage.work.row_tokens(image_tokens),
        "tokens": stage.work.tokens(image_tokens),
        "rows_per_device": device_pass.rows,
        "encoder_flops_per_row": device_pass.encoder_flops / device_pass.rows,
        "forward_flops_per_row": device_pass.forward_flops / device_pass.rows,
        "backward_flops_per_row": device_pass.backward_flops / device_pass.rows,
        "flops": stage.flops,
        "approximate": device_pass.approximate,
        "memory": [
            {**asdict(each), "total": each.total, "can_be_trained": each.can_be_trained and forecast.devices == 1}
            for each in footprints(device_pass, forecast.devices, mixed=True)
        ],
    }
