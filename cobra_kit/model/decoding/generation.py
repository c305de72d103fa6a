"""From prompts to whole answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cobra_kit.model.decoding.graphs import GraphBackend
from cobra_kit.model.decoding.precision import AS_KEPT, Precision
from cobra_kit.model.decoding.sampling import GREEDY, Sampling
from cobra_kit.model.decoding.session import DecodeSession, GraphUse

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.multimodal_module import MultimodalModule

LOOK_EVERY = 16
"""Tokens between two looks whether every row has ended: on a GPU a look waits for the device."""


def generate_ids(
    model: MultimodalModule,
    batch: Batch,
    *,
    max_new_tokens: int,
    stop_ids: Sequence[int],
    sampling: Sampling = GREEDY,
    graphs: GraphUse = "auto",
    precision: Precision = AS_KEPT,
    rows: Sequence[int] | None = None,
    recorder: GraphBackend | None = None,
) -> list[list[int]]:
    """Returns per row the ids of the answer, up to and without the first stop token; see `DecodeSession`."""
    session = DecodeSession(
        model,
        batch,
        max_new_tokens=max_new_tokens,
        stop_ids=stop_ids,
        sampling=sampling,
        graphs=graphs,
        precision=precision,
        rows=rows,
        recorder=recorder,
    )
    session.prefill()
    while not session.finished():
        session.advance(1 if model.device.type == "cpu" else LOOK_EVERY)
    return session.tokens()
