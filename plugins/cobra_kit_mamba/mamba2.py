"""The place of Mamba-2, which this version knows by name and size only."""

from __future__ import annotations

from cobra_kit.errors import NotFinishedError
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.mamba2_config import MambaTwoConfig


class Mamba2Backbone(MambaBackbone):
    """Refuses to be built; its specs are marked unfinished, so the host refuses before it comes here."""

    def __init__(self, config: MambaTwoConfig) -> None:
        raise NotFinishedError(
            "the Mamba-2 mixer is not in this version", hint="use a Mamba-1 backbone, such as mamba/130m"
        )
