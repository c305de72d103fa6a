"""One model at one size, ready to be timed any number of times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from cobra_kit.bench.prompts import Prompt, paper_prompt, prompt
from cobra_kit.bench.results import Measurement, Peak
from cobra_kit.bench.settings import COBRA, Settings
from cobra_kit.bench.timing import seconds, spread
from cobra_kit.bench.traffic import Traffic, traffic
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.decoding import DecodeSession, DecodeSettings, GraphUse


@dataclass(slots=True)
class Case:
    """A model, a prompt, and a session that answers it again and again.

    Args:
        subject: The model's name.
        dtype: Floating-point type of its weights.
        prompt: The prompt that it answers.
        encoded: Whether an image goes through encoder and projector.
        new_tokens: Tokens per answer; stop tokens end none, so that every answer has as many.
        graphs: Whether steps may run as a graph.
        peak: The most memory, once it was measured.
    """

    subject: str
    dtype: str
    prompt: Prompt
    encoded: bool
    new_tokens: int
    graphs: GraphUse
    peak: Peak | None = None
    session: DecodeSession = field(init=False)

    def __post_init__(self) -> None:
        """Opens the session."""
        settings = DecodeSettings(self.new_tokens, graphs=self.graphs)
        self.session = DecodeSession(self.prompt.model, self.prompt.batch, settings)

    @property
    def name(self) -> str:
        """Returns what tells it from other cases."""
        prompt = self.prompt
        return (
            f"{self.subject}, {self.dtype}, {prompt.batch.num_rows} x ({prompt.text_tokens} + {prompt.visual_tokens})"
        )

    def measure(self) -> list[float]:
        """Returns the seconds to the first token, and from there to the last."""
        device = self.prompt.model.device
        first = seconds(device, self.session.prefill)
        rest = seconds(device, lambda: self.session.advance(self.new_tokens - 1))
        return [first, rest]

    def check(self) -> None:
        """Checks that the answers have as many tokens as were asked for and came from numbers.

        Raises:
            CobraError: The logits were not numbers: a time of such an answer means nothing.
        """
        rows = self.session.tokens()
        assert all(len(row) == self.new_tokens for row in rows)

    def traffic(self) -> Traffic:
        """Returns what a step must move halfway through the answer."""
        prompt = self.prompt
        backbone = prompt.model.backbone
        dtype = backbone.embed(prompt.batch.text_ids[:1]).dtype
        return traffic(backbone, rows=prompt.batch.num_rows, context=prompt.context + self.new_tokens // 2, dtype=dtype)

    def result(self, taken: list[list[float]]) -> Measurement:
        """Returns what repeated measurements say; `taken` is what `measure` returned, at least once."""
        prompt = self.prompt
        step = spread([rest / (self.new_tokens - 1) for _, rest in taken])
        return Measurement(
            subject=self.subject,
            dtype=self.dtype,
            batch=prompt.batch.num_rows,
            text_tokens=prompt.text_tokens,
            visual_tokens=prompt.visual_tokens,
            encoded=self.encoded,
            context=prompt.context,
            new_tokens=self.new_tokens,
            first_token=spread([first for first, _ in taken]),
            step=step,
            total=spread([first + rest for first, rest in taken]),
            graph=self.session.uses_graph,
            graph_reason=self.session.graph_reason,
            traffic=self.traffic(),
            peak=self.peak,
        )


def cases_of(subject: str, dtype: str, model: VisionLanguageModel, settings: Settings) -> Iterator[Case]:
    """Yields the cases of one model, short prompts first.

    Raises:
        CobraError: A prompt cannot be made.
    """
    if settings.protocol == COBRA:
        yield Case(subject, dtype, paper_prompt(model), True, settings.new_tokens, settings.graphs)
        return
    for rows in settings.batch:
        for images in settings.image_tokens:
            for tokens in settings.prompt_tokens:
                made = prompt(model, rows=rows, text_tokens=tokens, image_tokens=images)
                yield Case(subject, dtype, made, images is None, settings.new_tokens, settings.graphs)


def cuda_peak(case: Case, weights: int) -> Peak:
    """Runs a case twice and returns the most memory that torch allocated for it: its weights, and what came above.

    The first run makes what stays, the decode state and captured graphs; the peak is that of the second.
    """
    device = case.prompt.model.device
    before = torch.cuda.memory_allocated(device)
    case.measure()
    torch.cuda.reset_peak_memory_stats(device)
    case.measure()
    above = max(0, torch.cuda.max_memory_allocated(device) - before)
    return Peak(weights + above, above)
