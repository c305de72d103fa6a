"""Checks for things attached to a backbone that its fast decoding steps would pass by.

A backbone's own `step` may be one call of C, and a recorded graph repeats what ran when it was recorded: neither calls
modules. Where a hook, a wrapper, an adapter or a patched `forward` is on any of them, decoding goes through `__call__`
of all of them instead, in the prefill and in every step, for every backbone alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules import module as torch_module

from cobra_kit.errors import KernelError

if TYPE_CHECKING:
    from cobra_kit.model.multimodal_module import MultimodalModule


def attached(model: MultimodalModule) -> str | None:
    """Returns what is attached to a model's backbone, in words, or None; walks through its modules once.

    Raises:
        KernelError: A hook is on a module that is never called, so that it would never run.
    """
    if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
        return "a forward hook is registered for all modules"
    reason: str | None = None
    for name, module in model.backbone.named_modules(prefix="backbone"):
        hooked = bool(module._forward_hooks or module._forward_pre_hooks)
        if hooked and type(module).forward is nn.Module.forward:
            raise KernelError(
                f"the hook on {name} would never run: {type(module).__name__} only holds other modules",
                hint="Put it on a module that is called, such as the blocks in model.backbone.blocks().",
            )
        # The walk goes on after the first reason: a hook that would never run must be refused wherever it is.
        if reason is None:
            reason = _reason(model, name, module, hooked=hooked)
    return reason


def _reason(model: MultimodalModule, name: str, module: nn.Module, *, hooked: bool) -> str | None:
    if hooked:
        return f"{name} has a forward hook"
    if "forward" in module.__dict__:
        return f"the forward of {name} was replaced"
    if not model.composed.is_still(name, type(module)) and not getattr(module, "decodes_fast", False):
        return f"{name} is {type(module).__name__}, which was put in after the model was composed"
    return None
