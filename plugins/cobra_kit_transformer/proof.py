"""Proof, at build, that a backbone computes what transformers' own class computes.

A published model may scale its embeddings, cap its logits or count positions in its own way, and the next release of
transformers may add another. So nothing is believed: a small random copy of the same config, with the same kinds of
layers, multipliers and switches, is run by token ids through transformers' class and piece by piece through ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cobra_kit.errors import CobraError, PluginError
from cobra_kit.interfaces import FusedSequence, LayoutBatch, TextCodec
from cobra_kit_transformer.architecture import quiet, sentence
from cobra_kit_transformer.causal import CausalBackbone
from cobra_kit_transformer.initialise import initialise
from cobra_kit_transformer.shrink import POSITIONS, parameters_of, shrink

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

TOLERANCE = 1e-3
"""Largest difference of two routes, as a share of the values' spread: rounding gives 1e-6, a wrong position 0.1."""

MOST_PARAMETERS = 8_000_000
"""A copy that is larger would make every build slow; it is larger where a width has a name that no rule knows."""

_NOT_FUSED = "transformers has no fused attention for it; with attention: eager it can be one"

_LENGTHS = (9, 4, 15)  # rows of different lengths, two of them beyond a copy's attention window
_MORE, _STEPS = 2, 3


class SmallCopy(CausalBackbone):
    """The route of a backbone over a model that transformers has built."""

    def __init__(self, model: Any, attention: str, *, where: str) -> None:
        super().__init__(None)
        self._attention = attention
        self.take(model, where=where)

    @classmethod
    def text_codec(cls, config: Any) -> TextCodec:
        """Raises NotImplementedError: nobody asks a copy for it."""
        raise NotImplementedError

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Raises NotImplementedError: nobody asks, since the values are the model's."""
        raise NotImplementedError

    @property
    def attention(self) -> str:
        """Returns how attention is computed."""
        return self._attention


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings on a small copy.

    Args:
        difference: What differs between the two routes, in words, or None where nothing does.
        positions_end: Whether rows longer than `max_position_embeddings` fail in transformers itself.
    """

    difference: str | None
    positions_end: bool = False


def prove(config: PreTrainedConfig, attention: str, *, where: str) -> Verdict:
    """Checks a model's type and switches on a small copy; the verdict is kept for this process.

    Raises:
        PluginError: The copy computes something else here than in transformers, or cannot be built.
    """
    try:
        settings = json.dumps(shrink(config), sort_keys=True, default=str)
    except Exception as error:  # a config may compute what it is asked for, and refuse
        verdict = Verdict(f"no small copy of it can be made ({sentence(error)})")
    else:
        verdict = _verdict(config.model_type, settings, attention)
        if verdict.difference == _NOT_FUSED:
            eager = _verdict(config.model_type, settings, "eager")
            verdict = eager if eager.difference else verdict
    if verdict.difference is None:
        return verdict
    raise PluginError(
        f"this {config.model_type} model cannot be a backbone: {verdict.difference}",
        where=where,
        hint="A small random copy is compared with transformers' own class before a model is built. The README of "
        "cobra_kit_transformer lists the types that agree, such as llama, qwen2, gemma and gpt_neox.",
    )


@lru_cache(maxsize=256)
def _verdict(model_type: str, settings: str, attention: str) -> Verdict:
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.no_grad(), quiet():
        torch.default_generator.manual_seed(0)
        try:
            model = _build(model_type, json.loads(settings), attention)
            copy = SmallCopy(model, attention, where=model_type).eval()
        except CobraError as error:
            return Verdict(error.message)
        except Exception as error:  # transformers' constructors raise whatever their arithmetic meets
            return Verdict(f"no small copy of it can be built ({sentence(error)})")
        comparison = Comparison(model, copy)
        for differs, words in comparison.parts():
            try:
                if differs():
                    return Verdict(words)
            except CobraError as error:
                return Verdict(error.message)
            except Exception as error:  # a decoder that cannot take what ours gives it: as many types again
                return Verdict(f"{words} (its decoder fails: {sentence(error)})")
        return Verdict(None, comparison.positions_end())


def _build(model_type: str, settings: dict[str, Any], attention: str) -> Any:
    """Returns a model with random values that all matter.

    Raises:
        PluginError: Even the copy is large.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(model_type, **settings)
    if attention == "sdpa" and not AutoModelForCausalLM._model_mapping[type(config)]._supports_sdpa:
        raise PluginError(_NOT_FUSED)

    def build() -> Any:
        return AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.float32)

    with torch.device("meta"):
        count = parameters_of(build())
    if count > MOST_PARAMETERS:
        raise PluginError(
            f"no copy of it is small enough to be tried (the smallest has {count / 1e6:,.0f}M parameters)"
        )
    model = build().eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
        else:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


class Comparison:
    """The two routes over the same rows of token ids.

    Args:
        model: A causal language model of transformers.
        copy: The same modules as a backbone.
    """

    def __init__(self, model: Any, copy: CausalBackbone) -> None:
        self.model, self.copy = model, copy
        self.ids = [torch.randint(copy.vocab_size, (length + _MORE + _STEPS,)) for length in _LENGTHS]

    def parts(self) -> Iterator[tuple[Callable[[], bool], str]]:
        """Yields what to compare, and what a difference means; in this order the first one is the cause."""
        yield self._not_finite, "transformers itself does not run a small copy of it by token ids to finite logits"
        yield self._embeddings_differ, "it does more to token ids than its embedding does, or cannot do without them"
        yield self._logits_differ, "its head does more to hidden states than multiply, scale and cap them"
        yield self._padded_rows_differ, "rows that are padded on the right do not give what each gives alone"
        yield self._packed_rows_differ, "packed rows do not give what each gives alone"
        yield self._continued_rows_differ, "continued with keys and values of earlier tokens, rows give something else"
        yield self._cannot_be_filled, "it cannot be filled with random weights"

    def positions_end(self) -> bool:
        """Returns whether a row beyond `max_position_embeddings` fails: a table of positions has no more."""
        most = getattr(self.copy.decoder.config, "max_position_embeddings", None)
        if not isinstance(most, int) or most > POSITIONS:
            return False
        try:
            self.copy.decoder(inputs_embeds=self.copy.embed(torch.zeros(1, most + 1).long()), use_cache=False)
        except Exception:  # an index, a shape, a message of the model's own
            return True
        return False

    def _not_finite(self) -> bool:
        self.hidden = [self.copy.decoder(input_ids=row[None], use_cache=False).last_hidden_state[0] for row in self.ids]
        self.logits = [self.model(input_ids=row[None], use_cache=False).logits[0] for row in self.ids]
        return not all(bool(row.isfinite().all()) for row in self.logits)

    def _embeddings_differ(self) -> bool:
        self.embedded = [self.copy.embed(row) for row in self.ids]
        got = [self.copy.decoder(inputs_embeds=row[None], use_cache=False) for row in self.embedded]
        return _differ([output.last_hidden_state[0] for output in got], self.hidden)

    def _logits_differ(self) -> bool:
        return _differ([self.copy.logits(row) for row in self.hidden], self.logits)

    def _padded_rows_differ(self) -> bool:
        together = self.copy(_rows(self.embedded))
        return _differ([row[: len(alone)] for row, alone in zip(together, self.hidden, strict=True)], self.hidden)

    def _packed_rows_differ(self) -> bool:
        whole = self.copy(_packed(self.embedded))[0]
        return _differ(whole.split([len(row) for row in self.hidden]), self.hidden)

    def _continued_rows_differ(self) -> bool:
        """Prefills the rows together, gives each two more tokens, and steps."""
        room, rows = max(_LENGTHS) + _MORE + _STEPS, list(zip(self.embedded, _LENGTHS, strict=True))
        state = self.copy.new_state(len(rows), room, device=torch.device("cpu"), dtype=torch.float32)
        state.used = 0
        first = self.copy(_rows([row[:length] for row, length in rows]), state)
        state.used = max(_LENGTHS)
        second = self.copy(_rows([row[length : length + _MORE] for row, length in rows]), state)
        got = [[start[:length], more] for start, more, length in zip(first, second, _LENGTHS, strict=True)]
        for step in range(_STEPS):
            state.used = max(_LENGTHS) + _MORE + step
            tokens = torch.stack([row[length + _MORE + step] for row, length in rows])
            for row, hidden in zip(got, self.copy.step(tokens, state), strict=True):
                row.append(hidden[None])
        return _differ([torch.cat(row) for row in got], self.hidden)

    def _cannot_be_filled(self) -> bool:
        initialise(self.copy, self.copy.decoder, None)
        return False


def _differ(got: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    """Returns whether rows differ by more than rounding; what is not a number differs."""
    if any(mine.shape != theirs.shape for mine, theirs in zip(got, expected, strict=True)):
        return True
    mine, theirs = torch.cat(list(got)), torch.cat(list(expected))
    return not bool((mine - theirs).abs().max() <= TOLERANCE * theirs.std())


def _rows(embedded: Sequence[Tensor]) -> FusedSequence:
    """Returns rows `[s_i d]` side by side, padded on the right with noise that must not matter."""
    lengths = torch.tensor([len(row) for row in embedded])
    longest = int(lengths.max())
    padded = [torch.cat([row, torch.randn(longest - len(row), row.shape[1])]) for row in embedded]
    slots = torch.arange(longest)
    real = slots < lengths[:, None]
    return FusedSequence(torch.stack(padded), _layout(real.int(), torch.where(real, slots, 0), embedded, real.sum(1)))


def _packed(embedded: Sequence[Tensor]) -> FusedSequence:
    """Returns all rows as segments of one row."""
    segments = torch.cat([torch.full((len(row),), number) for number, row in enumerate(embedded, start=1)])
    positions = torch.cat([torch.arange(len(row)) for row in embedded])
    layout = _layout(segments[None].int(), positions[None], embedded, torch.tensor([len(positions)]))
    return FusedSequence(torch.cat(list(embedded))[None], layout)


def _layout(segments: Tensor, positions: Tensor, embedded: Sequence[Tensor], lengths: Tensor) -> LayoutBatch:
    ends = torch.tensor([0, *(len(row) for row in embedded)]).cumsum(0).int()
    source = torch.zeros_like(positions)
    return LayoutBatch(source, segments, positions, None, ends, tuple(lengths.tolist()))
