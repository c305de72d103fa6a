"""The weights of an encoder that its features depend on, so that arms and seeds share what is equal in all of them.

Published towers bring parts that never run here: a pooling head, a last block. Where a checkpoint lacks them they hold
random values, other ones for every seed. They are found by watching a forward on the meta device, and the finding is
never trusted: while features are computed, those weights are filled with NaN (`poisoned`), so that features which
depend on one after all show it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from PIL import Image
from torch import Tensor, nn

from cobra_kit.interfaces import PreparedImage
from cobra_kit.model.reads import storage_of, storages_read

_NAN_HOLDERS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_ANY_IMAGE = (512, 512)
_PLAIN = (bool, int, float, str, type(None))


class _Watched(NamedTuple):
    """A note of what an encoder was when it was watched, and which weights it did not read."""

    build: object
    preprocess: object
    unread: frozenset[str]


_watched: WeakKeyDictionary[nn.Module, _Watched] = WeakKeyDictionary()
"""By encoder, since every split of every run asks for the same."""


def unread_weights(encoder: nn.Module, preprocess: Callable[[Image.Image], PreparedImage]) -> frozenset[str]:
    """Returns the names, as in `state_dict`, of weights that encoding an image does not read.

    No name where that cannot be known: an encoder that does not run on the meta device, for one because the way it
    takes depends on the values of an image. An encoder is watched once, and again when it was changed.

    Args:
        encoder: A vision encoder with its weights; nothing of it is changed.
        preprocess: Its preparation of one image.
    """
    build, kept = _build_of(encoder), _watched.get(encoder)
    if kept is None or kept.build != build or kept.preprocess is not preprocess:
        _watched[encoder] = kept = _Watched(build, preprocess, _watch(encoder, preprocess))
    return kept.unread


def _build_of(encoder: nn.Module) -> object:
    """Returns what decides which weights are read: the modules with their code, their settings and their tensors."""
    modules = [
        (name, type(module), type(module).forward, _patch(module), _settings(module), _hooks(module))
        for name, module in encoder.named_modules(remove_duplicate=False)
    ]
    tensors = chain(encoder.named_parameters(remove_duplicate=False), encoder.named_buffers(remove_duplicate=False))
    return modules, [(name, id(tensor), tensor.shape, tensor.dtype) for name, tensor in tensors]


def _patch(module: nn.Module) -> int:
    return id(module.__dict__.get("forward"))  # not itself: it may hold the encoder, which would then never go


def _settings(module: nn.Module) -> dict[str, object]:
    return {name: value for name, value in module.__dict__.items() if _is_plain(value) and name != "training"}


def _is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def _hooks(module: nn.Module) -> tuple[int, ...]:
    return (*module._forward_pre_hooks, *module._forward_hooks)


def _watch(encoder: nn.Module, preprocess: Callable[[Image.Image], PreparedImage]) -> frozenset[str]:
    named = dict(chain(encoder.named_parameters(remove_duplicate=False), encoder.named_buffers(remove_duplicate=False)))
    stand_ins = {id(tensor): _stand_in(tensor) for tensor in named.values()}
    try:
        # A copy, since encoders keep things between calls; its weights are the stand-ins, which take no memory.
        replica = copy.deepcopy(encoder, dict(stand_ins)).eval()
        prepared = preprocess(Image.new("RGB", _ANY_IMAGE))
        images = {name: tensor[None].to("meta") for name, tensor in prepared.tensors.items()}
        read = storages_read(lambda: replica(images, (prepared.shape,)))
    except Exception:  # whatever a plugin's code raises without values to compute on: then every weight counts
        return frozenset()
    kept = encoder.state_dict().keys()
    return frozenset(
        name
        for name, tensor in named.items()
        if name in kept and _can_be_poisoned(tensor) and storage_of(stand_ins[id(tensor)]) not in read
    )


@contextmanager
def poisoned(module: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Fills some weights with NaN for the length of a block, in place, and puts their values back.

    Args:
        module: The module that the weights belong to.
        names: Names as in `state_dict`, of weights with floating-point types.
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
