"""Declares the trackers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import TrackerSpec, hookimpl


@hookimpl
def cobra_trackers() -> Iterator[TrackerSpec]:
    """Yields what may be told about the events of a study."""
    yield TrackerSpec(
        name="json-lines",
        summary="every event as a line of JSON, a file per process",
        target="cobra_kit_trackers.json_lines:JsonLines",
        config="cobra_kit_trackers.config:JsonLinesConfig",
    )
    yield TrackerSpec(
        name="tensorboard",
        summary="loss, learning rate, validation and scores as curves of TensorBoard",
        target="cobra_kit_trackers.tensorboard:TensorBoard",
        config="cobra_kit_trackers.config:TensorBoardConfig",
        requires=("tensorboard>=2.15",),
    )
