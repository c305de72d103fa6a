"""Names without what torch's wrappers put into them."""

from __future__ import annotations

import re

_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?:\.|$)")


def plain_name(name: str) -> str:
    """Returns a tensor's or module's name without what torch.compile, FSDP and activation checkpointing put into it."""
    return _WRAPPERS.sub("", name).removesuffix(".")
