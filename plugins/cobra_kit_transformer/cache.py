"""The keys and values of a core's `DecodeState` as a cache of transformers. Imports transformers.

transformers' own caches keep one length for the whole batch and make their own tensors; here every row has a length
of its own, and the tensors are the state's. `slots.py` says which of them a pass writes and reads.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from cobra_kit_transformer.slots import Slots


class StateLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers has no types
    """One layer's keys and values, which the state has made and keeps.

    Args:
        keys: `[b heads max_length head_dim]`, written in place; `values` likewise.
        values: Values of the same shape, written in place too.
        slots: Which of them this pass writes and reads.
    """

    supports_early_init = False  # there is nothing to make

    def __init__(self, keys: Tensor, values: Tensor, slots: Slots) -> None:
        super().__init__()
        self.keys, self.values, self._slots = keys, values, slots
        self.is_initialized = True

    def lazy_initialization(self, *_: Any) -> None:
        """Raises NotImplementedError: nobody asks, since the tensors are there."""
        raise NotImplementedError

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Stores the new keys and values `[b heads s head_dim]` and returns all that attention reads."""
        return self._slots.store(self.keys, key_states), self._slots.store(self.values, value_states)

    def get_seq_length(self) -> int:
        """Returns the slots before the new tokens; asked where there is no mask."""
        return self._slots.seen - self._slots.positions.shape[1]

    def get_mask_sizes(self, _: Any) -> tuple[int, int]:
        """Returns the number of slots and the first one; asked where there is no mask."""
        return self._slots.seen, 0

    def get_max_length(self) -> int:
        """Returns the slots that there are."""
        return int(self.keys.shape[2])

    get_max_cache_shape = get_max_length  # its name before transformers 5.24, abstract there


class StateCache(Cache):  # type: ignore[misc]  # as above
    """The cache that transformers' decoders take, for one pass: made anew each time, over the same tensors.

    Args:
        slots: The slots that the pass writes and reads.
    """

    def __init__(self, slots: Slots) -> None:
        tensors = slots.state.tensors
        layers = range(len(tensors) // 2)
        super().__init__(layers=[StateLayer(tensors[f"k.{layer}"], tensors[f"v.{layer}"], slots) for layer in layers])
