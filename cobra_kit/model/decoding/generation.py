"""From prompts to whole answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cobra_kit.model.decoding.session import DecodeSession, DecodeSettings

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.multimodal_module import MultimodalModule

LOOK_EVERY = 16
"""Tokens between two looks whether every row has ended: on a GPU a look waits for the device."""


def generate_ids(
    model: MultimodalModule,
    batch: Batch,
    settings: DecodeSettings | None = None,
    **options: Any,
) -> list[list[int]]:
    """Returns per row the ids of the answer, up to and without the first stop token; arguments as `DecodeSession`."""
    session = DecodeSession(model, batch, settings, **options)
    session.prefill()
    while not session.finished():
        session.advance(1 if model.device.type == "cpu" else LOOK_EVERY)
    return session.tokens()
