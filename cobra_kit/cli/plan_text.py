"""A forecast as text, at 80 columns or more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import typer

from cobra_kit import columns
from cobra_kit.columns import grid
from cobra_kit.estimate.calibration import explanation
from cobra_kit.estimate.hardware import CPU, HARDWARE, Hardware
from cobra_kit.estimate.hours import SMALLEST, cost
from cobra_kit.estimate.memory import FITS, footprints, smallest_that_fits
from cobra_kit.forecast.forecast import ArmForecast, Forecast, StageForecast
from cobra_kit.formatting import duration_with_units, gigabytes, megabytes, plural
from cobra_kit.plugin import KINDS
from cobra_kit.train.stages import STAGES

_GB, _MB = 1e9, 1e6


_CANNOT = "In brackets: it would fit, but the trainer works in one process and has no activation checkpointing."


def render(forecast: Forecast, names: Sequence[str], price: float | None, width: int) -> list[str]:
    """Returns the lines of a forecast.

    Args:
        forecast: What the recipe's arms will take.
        names: Hardware, as asked for.
        price: Dollars per device and hour, for all hardware; None: each one's listed price.
        width: Columns of the terminal.
    """
    lines = _head(forecast, width)
    for arm in forecast.arms:
        lines += ["", *_arm(forecast, arm, names, price, width)]
    lines += _study(forecast, names, price, width)
    lines += _missing(forecast, width)
    return [*lines, "", *_assumptions(forecast, names, price, width)]


def _head(forecast: Forecast, width: int) -> list[str]:
    recipe = forecast.plan.recipe
    profile = [f"profile {recipe.profile}"] if recipe.profile else []
    shared = f"{forecast.devices} accelerators" if forecast.devices > 1 else "1 accelerator"
    return columns.joined([f"recipe  {recipe.name}", *profile, shared], width)


def _arm(forecast: Forecast, arm: ArmForecast, names: Sequence[str], price: float | None, width: int) -> list[str]:
    reference = " (reference)" if len(forecast.arms) > 1 and arm.arm == forecast.plan.reference else ""
    seeds = f", trained {arm.seeds} times" if arm.seeds > 1 else ""
    lines = [typer.style(f"arm {arm.arm}{reference}{seeds}" if len(forecast.arms) > 1 else "model", bold=True)]
    if arm.count is None:
        return [*lines, columns.paragraph(f"no forecast: {arm.problem}", indent="  ", limit=width)]
    lines += _parameters(arm, width)
    lines += ["", *_stages(arm, width)]
    if any(name in HARDWARE for name in names):
        lines += ["", *_memory(forecast, arm, [HARDWARE[name] for name in names if name in HARDWARE], width)]
    return [*lines, "", *_time(forecast, arm, names, price, width)]


def _parameters(arm: ArmForecast, width: int) -> list[str]:
    assert arm.count is not None
    count = arm.count
    trained = trained_kinds(arm)
    table = [("part", "component", "parameters", "trained")]
    for kind in KINDS:
        part = count.parts[kind]
        mine = part.total if kind in trained else 0
        table.append((kind.replace("_", " "), part.component, f"{part.total:,}", f"{mine:,}"))
    table.append(("total", "", f"{count.total:,}", f"{count.trainable(trained):,}"))
    if count.without_unused_heads != count.total:
        table.append(("without heads", "that never run", f"{count.without_unused_heads:,}", ""))
    if count.running not in (count.total, count.without_unused_heads):
        table.append(("and blocks", "that never run", f"{count.running:,}", ""))
    return grid(table, numbers=2, limit=width)


def trained_kinds(arm: ArmForecast) -> frozenset[str]:
    """Returns the kinds of part that some stage trains."""
    return frozenset(kind for stage in arm.stages for kind in STAGES[stage.work.stage].trains)


def _stages(arm: ArmForecast, width: int) -> list[str]:
    assert arm.count is not None
    image = arm.count.image_tokens
    table: list[tuple[str, ...]] = [("stage", "steps", "rows/step", "tokens/row", "image", "text", "tokens in all")]
    flops: list[tuple[str, ...]] = [("FLOPs", "forward/row", "backward/row", "in all")]
    for stage in arm.stages:
        work, device_pass = stage.work, stage.device_pass
        lengths = (work.row_tokens(image), work.row.images * image, work.row.text_tokens)
        numbers = (work.steps, work.batch_size, *lengths, work.tokens(image))
        table.append((work.stage, *(f"{number:,}" for number in numbers)))
        per_row = (device_pass.forward_flops / device_pass.rows, device_pass.backward_flops / device_pass.rows)
        flops.append((work.stage, *(f"{number:.3g}" for number in (*per_row, stage.flops))))
    lines = [*grid(table, numbers=1, limit=width), ""]
    if not arm.encoding_flops:
        return lines + grid(flops, numbers=1, limit=width)
    image_count = max(stage.work.image_count for stage in arm.stages)
    flops.append(("features", f"{arm.encoding_flops / image_count:.3g}", "0", f"{arm.encoding_flops:.3g}"))
    kept = columns.paragraph(
        f"features: each of {image_count:,} pictures once, then {_size(arm.feature_bytes)} on disk",
        indent="  ",
        limit=width,
    )
    return [*lines, *grid(flops, numbers=1, limit=width), kept]


def _size(count: float) -> str:
    return gigabytes(count) if count >= _GB else megabytes(count)


def _memory(forecast: Forecast, arm: ArmForecast, hardware: Sequence[Hardware], width: int) -> list[str]:
    stage = hardest(arm, forecast.devices)
    device_pass = stage.device_pass
    ways = footprints(device_pass, forecast.devices, mixed=True)
    unit, name = (_GB, "GB") if max(way.total for way in ways) >= _GB else (_MB, "MB")
    rows = f"{plural(device_pass.rows, 'row')} at a time"
    table: list[tuple[str, ...]] = [("sharding", "weights", "grads", "AdamW", "kept", "sum", "fits")]
    for way in ways:
        fits = " ".join(device.name for device in hardware if way.fits(device.memory)) or "none"
        if fits != "none" and not (way.can_be_trained and forecast.devices == 1):
            fits = f"({fits})"
        sizes = (way.weights, way.gradients, way.optimiser, way.activations, way.total)
        cells = [f"{size / unit:,.1f}" if size is not None else "?" for size in sizes]
        label = f"{way.sharding} + ckpt" if way.checkpointed else way.sharding
        table.append((label, *cells, fits if way.activations is not None else "?"))
    title = f"{name} per device in {stage.work.stage}, {rows} (ckpt: activation checkpointing)"
    lines = [columns.paragraph(title, indent="  ", limit=width)]
    lines += grid(table, numbers=1, last_is_text=True, limit=width)
    if device_pass.approximate is not None:
        note = f"approximate, two FLOPs per parameter and token: it cannot be counted ({device_pass.approximate})"
        lines.append(columns.paragraph(note, indent="  ", limit=width))
    elif not any(way.fits(device.memory) for way in ways for device in hardware):
        lines.append(columns.paragraph(_what_would_fit(stage, hardware), indent="  ", limit=width))
    if any(row[-1].startswith("(") for row in table):
        lines.append(columns.paragraph(_CANNOT, indent="  ", limit=width))
    return lines


def hardest(arm: ArmForecast, devices: int) -> StageForecast:
    """Returns the stage that takes the most memory."""
    return max(arm.stages, key=lambda stage: footprints(stage.device_pass, devices, mixed=True)[-1].total)


def _what_would_fit(stage: StageForecast, hardware: Sequence[Hardware]) -> str:
    largest = max(hardware, key=lambda device: device.memory)
    needed = smallest_that_fits(stage.device_pass, largest.memory)
    if needed is None:
        return "It fits on none of these, however many: lower micro_batch_size, or take a smaller backbone."
    what = f"With full-shard and checkpointing, {needed} x {largest.label} would (--devices {needed})"
    return f"It does not fit. {what}; this trainer has neither yet."


def _time(forecast: Forecast, arm: ArmForecast, names: Sequence[str], price: float | None, width: int) -> list[str]:
    lines: list[str] = []
    table = [("hardware", "time", "price")]
    for name in names:
        if name != CPU:
            table.append(
                (_device_label(forecast.devices, HARDWARE[name]), *_on_device(forecast, arm, HARDWARE[name], price))
            )
        elif arm.local is not None:
            table.append(("this CPU", duration_with_units(arm.local.total), "-"))
    if len(table) > 1:
        lines += grid(table, numbers=1, limit=width)
    if CPU in names:
        if arm.local is not None:
            local = arm.local
            parts = {
                "starting": local.starting,
                "drawing": local.drawing,
                "features": local.features,
                "preparing": local.preparing,
                "training": local.training,
                "validation": local.validation,
                "evaluation": local.evaluation,
            }
            times = ", ".join(f"{name} {duration_with_units(value)}" for name, value in parts.items() if value)
            lines.append(columns.paragraph(f"this CPU: {times}", indent="  ", limit=width))
        else:
            lines.append(columns.paragraph(f"this CPU: {arm.local_problem}", indent="  ", limit=width))
    return lines


def _device_label(devices: int, hardware: Hardware) -> str:
    return f"{devices} x {hardware.label}"


def _on_device(forecast: Forecast, arm: ArmForecast, hardware: Hardware, price: float | None) -> tuple[str, str]:
    if max(stage.device_pass.trainable for stage in arm.stages) < SMALLEST:
        return "too small to say", "-"
    took = cost(arm.flops, hardware, forecast.devices, price=price)
    return f"{took.hours:,.1f} h", f"${took.price:,.0f}"


def _study(forecast: Forecast, names: Sequence[str], price: float | None, width: int) -> list[str]:
    if len(forecast.arms) * len(forecast.plan.seeds) < 2:
        return []
    lines = ["", typer.style("all arms and seeds", bold=True)]
    known = [arm for arm in forecast.arms if arm.count is not None]
    table = []
    for name in names:
        if name == CPU:
            seconds = forecast.local_seconds()
            if seconds is not None:
                table.append(("this CPU", duration_with_units(seconds), "-"))
            continue
        if any(max(s.device_pass.trainable for s in arm.stages) < SMALLEST for arm in known) or not known:
            continue
        costs = [cost(arm.flops * arm.seeds, HARDWARE[name], forecast.devices, price=price) for arm in known]
        hours, dollars = sum(each.hours for each in costs), sum(each.price for each in costs)
        table.append((_device_label(forecast.devices, HARDWARE[name]), f"{hours:,.1f} h", f"${dollars:,.0f}"))
    return [*lines, *grid([("hardware", "time", "price"), *table], numbers=1, limit=width)] if table else []


def _missing(forecast: Forecast, width: int) -> list[str]:
    if not forecast.missing:
        return ["", "nothing is missing on this machine"]
    lines = ["", typer.style("missing on this machine", bold=True)]
    for missing in forecast.missing:
        lines.append(columns.paragraph(missing.what, indent="  ", limit=width))
        for remedy in missing.remedies:
            lines.append(columns.paragraph(remedy, indent="    ", limit=width))
    return lines


def _assumptions(forecast: Forecast, names: Sequence[str], price: float | None, width: int) -> Iterator[str]:
    yield typer.style("what this rests on", bold=True)
    for text in assumptions(forecast, names, price):
        yield columns.paragraph(text, indent="  ", limit=width)


def assumptions(forecast: Forecast, names: Sequence[str], price: float | None) -> list[str]:
    """Returns what was assumed, a sentence or two each."""
    texts = [f"Rows: {note}." for note in forecast.notes]
    devices = [HARDWARE[name] for name in names if name in HARDWARE]
    large = any(stage.device_pass.trainable >= SMALLEST for arm in forecast.arms for stage in arm.stages)
    if devices and not large:
        texts.append(
            f"No hours on accelerators: below {SMALLEST:,} trained parameters starting kernels, not computing, takes "
            "the time."
        )
    if devices and large:
        peaks = ", ".join(f"{device.label} {device.peak_flops / 1e12:,.0f} ({device.source})" for device in devices)
        texts += [
            f"Time on accelerators: training and encoder features alone; {explanation()}. The same share is assumed "
            f"of every accelerator. Peak TFLOP/s, dense bfloat16: {peaks}.",
            _price_text(devices, price),
        ]
    if devices:
        texts.append(
            "Memory: float32 weights, gradients and AdamW moments, bfloat16 computing, frozen parts bfloat16 on every "
            f"device; rows of mean length; what plain PyTorch keeps; {FITS:.0%} of a device may be planned with. This "
            "version trains in one process and without checkpointing; the other rows say what they would take."
        )
    local = next((arm.local for arm in forecast.arms if arm.local is not None), None)
    if local is not None:
        from cobra_kit.forecast.machine_speed import machine

        texts.append(
            f"This CPU ({machine()}): measured {local.speed.measured} at a load of {local.speed.load:.1f}; "
            "--fresh measures again. Whatever else runs then slows both the measurement and the run."
        )
    return texts


def _price_text(devices: Sequence[Hardware], price: float | None) -> str:
    if price is not None:
        return f"Price: ${price:g} per device and hour, as given."
    listed = ", ".join(f"{device.label} ${device.price:g}" for device in devices)
    return f"Price per device and hour: {listed} ({devices[0].price_source}); --price gives another."
