"""The results of a bench, as data; `record` writes them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cobra_kit.bench.bandwidth import Bandwidth
from cobra_kit.bench.crossing import Crossover
from cobra_kit.bench.settings import Settings
from cobra_kit.bench.timing import Spread
from cobra_kit.bench.traffic import Traffic
from cobra_kit.model.kernels import KernelGroup


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that a model took.

    Args:
        total: Bytes: on CUDA the model's weights and what was allocated beside them at the peak; on a CPU the
            resident memory of a process that did nothing else.
        above_weights: What of it came after the weights stood there.
    """

    total: int
    above_weights: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model at one size.

    Args:
        subject: Name of the model.
        dtype: Floating-point type of its weights.
        batch: Rows decoded together.
        text_tokens: Text tokens of each prompt.
        visual_tokens: Visual tokens of each prompt.
        encoded: Whether an image was encoded and projected in the time to the first token.
        context: Tokens of each prompt, all kinds.
        new_tokens: Tokens decoded after it, the first included.
        first_token: Seconds from the prepared prompt to the first token of every row.
        step: Seconds per further token, all rows together.
        total: Seconds from the prepared prompt to the last token.
        graph: Whether steps ran as a captured graph.
        graph_reason: Why, or why not.
        traffic: The bytes that a step must move.
        share: The bandwidth that it reached, as a share of the measured one; 0 before that is known.
        peak: The most memory; None where it was not measured.
    """

    subject: str
    dtype: str
    batch: int
    text_tokens: int
    visual_tokens: int
    encoded: bool
    context: int
    new_tokens: int
    first_token: Spread
    step: Spread
    total: Spread
    graph: bool
    graph_reason: str
    traffic: Traffic
    share: float = 0.0
    peak: Peak | None = None

    @property
    def prefill_rate(self) -> float:
        """Returns prompt tokens per second, all rows together, encoding included."""
        return self.batch * self.context / self.first_token.median

    @property
    def decode_rate(self) -> float:
        """Returns tokens per second after the first one, all rows together."""
        return self.batch / self.step.median

    @property
    def paper_rate(self) -> float:
        """Returns tokens per second as the paper counts them: all new tokens by the whole time, encoding included."""
        return self.batch * self.new_tokens / self.total.median


@dataclass(frozen=True, slots=True)
class NotRun:
    """Something that was not measured, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Everything that one bench found.

    Args:
        recipe: The recipe that was measured.
        profile: The recipe's profile.
        settings: What was asked to be measured.
        device: Where it ran, such as `cpu`.
        components: The parts of each subject, by kind.
        kernels: Per subject and dtype (`mamba, float32`) the kernels of its backbone.
        tokenizers: Subjects whose tokenizer was not here, so that a stand-in made the prompts.
        bandwidth: Bandwidth of the device's memory.
        cache: Bytes of the processor's largest cache, where it ran on one and the system says so.
        measurements: The measurements, in the order of the subjects.
        crossovers: The crossovers, by setting and pair of subjects as `curves.crossovers` names them.
        not_run: What was left out, and why.
        paper: Per subject (tokens per second, seconds) that the paper prints, where it has the system.
        memory_how: How the peak memory was measured.
        side_by_side: Whether all subjects were measured in turns; else one after another.
        repeats: Rounds that counted.
        interrupted: Whether Ctrl-C ended it early.
    """

    recipe: str
    profile: str | None
    settings: Settings
    device: str
    components: Mapping[str, Mapping[str, str]]
    kernels: Mapping[str, tuple[KernelGroup, ...]]
    tokenizers: tuple[str, ...]
    bandwidth: Bandwidth
    cache: int | None
    measurements: tuple[Measurement, ...]
    crossovers: Mapping[str, Crossover] = field(default_factory=dict)
    not_run: tuple[NotRun, ...] = ()
    paper: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    memory_how: str = ""
    side_by_side: bool = True
    repeats: int = 0
    interrupted: bool = False

    @property
    def cache_megabytes(self) -> str:
        """Returns the size of the processor's largest cache as text."""
        return f"{(self.cache or 0) / 1e6:,.0f} MB"

    @property
    def statement(self) -> str:
        """Returns the first line of everything that shows these numbers."""
        where = "random weights" if self.settings.weights == "random" else "the recipe's weights"
        profile = f", profile {self.profile}" if self.profile else ""
        return f"{self.recipe}{profile}: {where}, protocol {self.settings.protocol}, on {self.device}"
