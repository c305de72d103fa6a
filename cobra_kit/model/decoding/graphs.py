"""Recording a step once and replaying it: one launch in place of hundreds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from cobra_kit.interfaces import Backbone

WARM_UP_STEPS = 2
"""Steps before recording, so that libraries choose kernels and take their memory outside of the graph."""


class GraphBackend(Protocol):
    """The contract of what records steps."""

    def unavailable(self, device: torch.device) -> str | None:
        """Returns why nothing can be recorded on a device, or None if it can."""

    def capture(self, step: Callable[[], None], device: torch.device) -> Callable[[], None]:
        """Runs `step` a few times, records it, and returns what repeats it.

        Args:
            step: Works in place on tensors that keep their addresses, and never waits for the device.
            device: The device that `step` works on.
        """


class CudaGraphs:
    """CUDA graphs (torch.cuda.CUDAGraph). The graphs of one object share their memory, for one runs at a time."""

    def __init__(self) -> None:
        self._pool: Any = None

    def unavailable(self, device: torch.device) -> str | None:
        """Returns why nothing can be recorded on a device, or None if it can."""
        if device.type == "cuda":
            return None
        return "there are no CUDA graphs on CPU" if device.type == "cpu" else f"{device.type} has no CUDA graphs"

    def capture(self, step: Callable[[], None], device: torch.device) -> Callable[[], None]:
        """Warms up on a stream of its own, as recording does, then records."""
        with torch.cuda.device(device):
            before = torch.cuda.current_stream()
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no types for it
            aside.wait_stream(before)
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP_STEPS):
                    step()
            before.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # thread_local: what a thread that loads data asks of CUDA meanwhile does no harm.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                step()
        self._pool = graph.pool()
        return graph.replay


def why_not(
    backbone: Backbone, device: torch.device, recorder: GraphBackend, attached: str | None = None
) -> str | None:
    """Returns why the steps of a backbone cannot be recorded, or None if they can.

    Args:
        backbone: The backbone that would be stepped.
        device: The device that it steps on.
        recorder: The backend that would record the steps.
        attached: What is attached to it (see `attached.py`): a recorded graph would not run it again.
    """
    unavailable = recorder.unavailable(device)
    if unavailable is not None:
        return unavailable
    if not backbone.graph_safe:
        return f"{type(backbone).__name__} does not declare graph_safe"
    return attached
