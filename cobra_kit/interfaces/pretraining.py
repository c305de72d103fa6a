"""The contract of pretraining tasks: what `cobra-kit pretrain` teaches a small part, and what probes then tell of it.

The core reads the recipe, builds the part, trains it and writes its file; a task has the data, the objective and the
probes. A task's config is mixed into the recipe's form: its fields are the sections beside the part and `train`, and
its validators may look at those, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobra_kit.events import Reporter, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from cobra_kit.interfaces.data_source import DataSource


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of one linear probe: what one matrix reads off the tokens.

    Args:
        name: The question that is read off, such as `pair present`.
        accuracy: Share of right answers on images that the matrix has not seen, 0..1; balanced over yes and no
            for presence.
        chance: The share of the most frequent answer there.
        examples: How many answers were scored.
    """

    name: str
    accuracy: float
    chance: float
    examples: int


@dataclass(frozen=True, slots=True)
class AbilityProbe:
    """The result of asking for one ability.

    Args:
        ability: The ability that the questions ask for.
        accuracy: Share of greedy answers that are the true one, letter by letter.
        chance: Share of the most frequent true answer.
        questions: How many were asked.
    """

    ability: str
    accuracy: float
    chance: float
    questions: int


@dataclass(frozen=True, slots=True)
class TextProbes:
    """The result of all probes of a backbone.

    Args:
        abilities: One per ability that was asked for.
        perplexity: The perplexity of held-out passages, per token.
        tokens: How many tokens those passages have.
    """

    abilities: tuple[AbilityProbe, ...]
    perplexity: float
    tokens: int


class EncoderPretraining(ABC):
    """A task that teaches a small vision encoder; any one whose tokens lie on a fixed grid.

    Args:
        recipe: The recipe, with the sections that the task's config describes.
        report: Told about long work.
        cache_dir: Where images are kept; None: the user's cache.
    """

    def __init__(self, recipe: Any, report: Reporter = silent, cache_dir: Path | None = None) -> None:
        self.recipe, self.report, self.cache_dir = recipe, report, cache_dir

    @abstractmethod
    def images(self) -> NDArray[np.uint8]:
        """Returns the images to learn from, `[n h w 3]`."""

    @abstractmethod
    def objective(self, width: int, grid: tuple[int, int]) -> nn.Module:
        """Returns heads and losses; torch's global generator is seeded before.

        Its `forward(tokens, rows, rng)` takes the encoder's tokens `[b n d]`, which images these are, `[b]`, and a
        `random.Random` of the step, and returns the weighted loss of each term by its name.

        Args:
            width: Channels of the encoder's tokens.
            grid: (rows, columns) of its tokens.
        """

    @abstractmethod
    def probe(self, encode: Callable[[NDArray[np.uint8]], Tensor], grid: tuple[int, int]) -> Sequence[Probe]:
        """Returns what can be read off the tokens of the trained encoder.

        Args:
            encode: Gives the tokens `[n g d]` of images `[n h w 3]`, without gradients.
            grid: (rows, columns) of the tokens.
        """


class BackbonePretraining(ABC):
    """A task that teaches a small backbone to read, without images.

    Args:
        recipe: The recipe, with the sections that the task's config describes.
    """

    def __init__(self, recipe: Any) -> None:
        self.recipe = recipe

    @abstractmethod
    def source(self) -> DataSource:
        """Returns the texts, as the `text_rows` of a data source."""

    @abstractmethod
    def probe(self, model: Any) -> TextProbes:
        """Returns what the trained backbone can do.

        Args:
            model: The backbone as a `VisionLanguageModel` that is shown no image: `generate`, `processor`, a loss.
        """

    @abstractmethod
    def description(self) -> str:
        """Returns a sentence on the data, for the backbone's card."""
