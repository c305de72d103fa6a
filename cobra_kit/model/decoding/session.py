"""One batch of prompts on its way to answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from cobra_kit.arguments import settings_of, whole_number
from cobra_kit.errors import ArgumentError, CobraError, KernelError, first_line
from cobra_kit.model import calls
from cobra_kit.model.decoding.attached import attached
from cobra_kit.model.decoding.graphs import CudaGraphs, GraphBackend, why_not
from cobra_kit.model.decoding.precision import AS_KEPT, Precision
from cobra_kit.model.decoding.prompts import next_token_logits, read_prompts
from cobra_kit.model.decoding.sampling import GREEDY, Sampling
from cobra_kit.model.decoding.workspace import Shape, Workspace, borrow, forget, new_workspace, rounded_up

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.multimodal_module import MultimodalModule

GraphUse = Literal["auto", "never", "always"]
"""Whether steps run as a captured CUDA graph: where that works, never, or else an error."""

_log = logging.getLogger(__name__)


MOST_NEW_TOKENS = 2**20
"""Of one answer: what is beyond is a slip of the keyboard, and would take all memory before the first token."""


class _NotBegunError(CobraError, RuntimeError):
    """A session is asked for tokens before it has read its prompts."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """The settings by which a batch of prompts is answered.

    Args:
        max_new_tokens: Most tokens per answer.
        stop_ids: Ids that end an answer.
        sampling: How the next token is chosen from the logits.
        graphs: Whether steps run as a captured CUDA graph.
        precision: What is rounded between two tokens.
        rows: A number for each row that its draws depend on; None: 0, 1, ..
        recorder: What captures; None: CUDA's graphs.

    Raises:
        ArgumentError: `max_new_tokens` is out of range, or `graphs` is no use of graphs.
    """

    max_new_tokens: int
    stop_ids: Sequence[int] = ()
    sampling: Sampling = GREEDY
    graphs: GraphUse = "auto"
    precision: Precision = AS_KEPT
    rows: Sequence[int] | None = None
    recorder: GraphBackend | None = None

    def __post_init__(self) -> None:
        most = whole_number(self.max_new_tokens, "max_new_tokens", at_least=1, at_most=MOST_NEW_TOKENS)
        object.__setattr__(self, "max_new_tokens", most)
        if self.graphs not in get_args(GraphUse):
            raise ArgumentError(f"graphs must be one of {', '.join(get_args(GraphUse))}, not {self.graphs!r}")


class DecodeSession:
    """Answers to one batch of prompts; every step works in place and none waits for the device.

        session = DecodeSession(model, batch, max_new_tokens=64, stop_ids=[eos])
        session.prefill()
        while not session.finished():
            session.advance(8)
        answers = session.tokens()

    Args:
        model: The composed model, in eval mode.
        batch: Prompts, collated for generation, on the model's device.
        settings: How they are answered; None: as `options` say.
        options: The fields of `DecodeSettings`, instead of these.

    Attributes:
        uses_graph: Whether steps run as a captured graph; what is planned, until `prefill` has captured.
        graph_reason: Why, or why not.
        attached: What is attached to a module of the backbone, so that every module is called, or None.

    Raises:
        ArgumentError: The settings are wrong, or their `rows` are not the batch's.
        KernelError: `graphs` is `always`, and steps cannot be captured.
    """

    def __init__(
        self,
        model: MultimodalModule,
        batch: Batch,
        settings: DecodeSettings | None = None,
        **options: Any,
    ) -> None:
        settings = settings_of(DecodeSettings, settings, options)
        self._rows = tuple(range(batch.num_rows)) if settings.rows is None else tuple(settings.rows)
        if len(self._rows) != batch.num_rows:
            raise ArgumentError(f"{len(self._rows)} row numbers for {batch.num_rows} rows")
        self._model = model
        self._batch = batch
        self._settings = settings
        self._recorder = CudaGraphs() if settings.recorder is None else settings.recorder
        self._chosen = 0
        self._workspace: Workspace | None = None
        self._shape = Shape(
            rows=batch.num_rows,
            max_length=batch.layout.max_length + settings.max_new_tokens,
            max_new_tokens=settings.max_new_tokens,
            stop_ids=tuple(settings.stop_ids),
            # A seed is written to the workspace and not captured, so one graph serves all seeds.
            sampling=replace(settings.sampling, seed=0),
            precision=settings.precision,
        )
        needless = settings.max_new_tokens == 1 or not batch.num_rows
        self.attached = attached(model)
        refused = why_not(model.backbone, model.device, self._recorder, self.attached)
        if refused is not None and settings.graphs == "always" and not needless:
            raise KernelError(f"steps cannot run as a graph: {refused}", hint="Decode with graphs='auto'.")
        if settings.graphs == "never":
            refused = "graphs are switched off"
        elif needless:
            refused = "no token needs a step"
        self.uses_graph = refused is None
        self.graph_reason = refused or "captured in prefill"

    @torch.no_grad()
    def prefill(self) -> None:
        """Encodes the images, reads the prompts and chooses the first token of every row.

        Graphs that later steps need are captured here, unless an earlier session has.

        Raises:
            KernelError: Capturing failed, and `graphs` is `always`.
        """
        self._chosen = 0
        if self._workspace is None:
            self._workspace = self._capture() if self.uses_graph else None
        sequence = self._model.fuse(self._batch) if self._batch.num_rows else None
        if self._workspace is None:
            dtype = None if sequence is None else sequence.embeddings.dtype
            self._workspace = new_workspace(self._model, self._shape, dtype)
        space = self._workspace
        space.begin(self._settings.sampling.seed, self._rows)
        if sequence is not None:
            hidden = read_prompts(
                self._model, sequence, space.state, self._shape.precision, by_call=self.attached is not None
            )
            space.answers.take(next_token_logits(self._model, hidden))
        self._chosen = 1

    @torch.no_grad()
    def advance(self, tokens: int = 1) -> None:
        """Chooses `tokens` more tokens of every row, at most as many as are left to `max_new_tokens`."""
        space = self._require_workspace()
        for _ in range(min(tokens, self._shape.max_new_tokens - self._chosen) if self._batch.num_rows else 0):
            used = self._batch.layout.max_length + self._chosen
            if self.uses_graph:
                space.recorded[self._bucket(used)]()
            else:
                space.state.used = used - 1
                _step(self._model, space, by_call=self.attached is not None)
            self._chosen += 1

    def finished(self) -> bool:
        """Returns whether every row has ended or is full; waits for the device."""
        full = self._chosen >= self._shape.max_new_tokens
        return full or bool(self._require_workspace().answers.finished.all())

    def tokens(self, since: int = 0) -> list[list[int]]:
        """Returns the tokens of each row so far, up to and without its stop token; waits for the device.

        Args:
            since: Leaves out that many tokens at the beginning of each row: those that the caller has already.

        Raises:
            CobraError: The logits of a row were not numbers.
        """
        return self._require_workspace().answers.read(since)

    def _bucket(self, used: int) -> int:
        """Returns the number of tokens that the step attends to which serves rows of `used` tokens, the new one too."""
        longest = rounded_up(self._shape.max_length)
        return min(rounded_up(used), longest) if self._model.backbone.step_grows else longest

    def _capture(self) -> Workspace | None:
        """Returns a workspace with every step that these prompts may need, or None where that failed."""
        # Rounded up, so that prompts of about the same length find the graph of an earlier session.
        shape = replace(self._shape, max_length=rounded_up(self._shape.max_length))
        space: Workspace | None = None
        first = self._batch.layout.max_length + 1
        needed = sorted({self._bucket(used) for used in range(first, self._shape.max_length)})
        try:
            space = borrow(self._model, shape, self._recorder, self)
            recorder = space.recorder or self._recorder
            for bucket in needed:
                if bucket not in space.recorded:
                    space.begin(0, self._rows)
                    space.state.used = bucket - 1
                    space.recorded[bucket] = recorder.capture(_bound_step(self._model, space), self._model.device)
        except Exception as error:  # out of memory, an operation that cannot be captured: torch has many types
            if space is not None:
                forget(self._model, space)
            reason = f"capturing failed: {first_line(error)}"
            if self._settings.graphs == "always":
                raise KernelError(
                    f"steps cannot run as a graph: {reason}", hint="Decode with graphs='auto'."
                ) from error
            _log.warning("Decoding goes on without a CUDA graph, more slowly: %s", reason)
            self.uses_graph, self.graph_reason = False, reason
            return None
        self.graph_reason = f"{len(needed)} captured graph(s), one launch per token"
        return space

    def _require_workspace(self) -> Workspace:
        if self._workspace is None:
            raise _NotBegunError("prefill() comes first")
        return self._workspace


def _step(model: MultimodalModule, space: Workspace, *, by_call: bool = False) -> None:
    """Reads the last token of every row and chooses the next one, in place, without a sync unless `by_call`."""
    hidden = calls.step(model, calls.embed(model, space.answers.token), space.state, by_call=by_call)
    space.shape.precision.round_state(space.state)
    space.answers.take(next_token_logits(model, hidden))


def _bound_step(model: MultimodalModule, space: Workspace) -> Callable[[], None]:
    return lambda: _step(model, space)
