"""Which weights of an encoder its features depend on, so that arms and seeds share what is equal in all of them.

Published towers bring parts that never run here: a pooling head, a last block. Where a checkpoint lacks them they hold
random values, other ones for every seed. They are found by watching a forward on the meta device, and the finding is
never trusted: while features are computed, those weights are filled with NaN (`poisoned`), so that features which
depend on one after all show it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cobra_kit.interfaces import PreparedImage

_NAN_HOLDERS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_ANY_IMAGE = (512, 512)


def unread_weights(encoder: nn.Module, preprocess: Callable[[Image.Image], PreparedImage]) -> frozenset[str]:
    """Returns the names, as in `state_dict`, of weights that encoding an image does not read.

    No name where that cannot be known: an encoder that does not run on the meta device, for one because the way it
    takes depends on the values of an image.

    Args:
        encoder: A vision encoder with its weights; nothing of it is changed.
        preprocess: Its preparation of one image.
    """
    named = dict(chain(encoder.named_parameters(remove_duplicate=False), encoder.named_buffers(remove_duplicate=False)))
    stand_ins = {id(tensor): _stand_in(tensor) for tensor in named.values()}
    seen = _Inputs()
    try:
        # A copy, since encoders keep things between calls; its weights are the stand-ins, which take no memory.
        replica = copy.deepcopy(encoder, dict(stand_ins)).eval()
        prepared = preprocess(Image.new("RGB", _ANY_IMAGE))
        images = {name: tensor[None].to("meta") for name, tensor in prepared.tensors.items()}
        with torch.no_grad(), seen:
            replica(images, (prepared.shape,))
    except Exception:  # whatever a plugin's code raises without values to compute on: then every weight counts
        return frozenset()
    kept = encoder.state_dict().keys()
    return frozenset(
        name
        for name, tensor in named.items()
        if name in kept and _can_be_poisoned(tensor) and _storage(stand_ins[id(tensor)]) not in seen.storages
    )


@contextmanager
def poisoned(module: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Fills some weights with NaN for the length of a block, in place, and puts their values back.

    Args:
        module: Whose weights.
        names: Which, as in `state_dict`; of floating-point types.
    """
    state = module.state_dict()
    chosen = [state[name] for name in names]
    values = [tensor.clone() for tensor in chosen]
    with torch.no_grad():
        try:
            for tensor in chosen:
                tensor.fill_(float("nan"))
            yield
        finally:
            for tensor, value in zip(chosen, values, strict=True):
                tensor.copy_(value)


def _stand_in(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor.detach(), device="meta")
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty


def _can_be_poisoned(tensor: Tensor) -> bool:
    return tensor.dtype in _NAN_HOLDERS and not tensor.is_inference()


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # a tensor on the meta device has no address


class _Inputs(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Collects the storages of all tensors that operations within it are given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        for leaf in tree_leaves((args, dict(kwargs or {}))):
            if isinstance(leaf, Tensor):
                self.storages.add(_storage(leaf))
        return func(*args, **(kwargs or {}))
