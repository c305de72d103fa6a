"""What a recipe needs and this machine lacks: weights, data files, packages; each with what supplies it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import BaseModel

from cobra_kit.data.sources import offered_benchmarks, source_settings
from cobra_kit.errors import CobraError
from cobra_kit.estimate.datasets import BY_SETTING
from cobra_kit.files import expanded
from cobra_kit.interfaces import Backbone, Component
from cobra_kit.model import VisionLanguageModel
from cobra_kit.paper import COLUMN_LABELS, column_label, paper_table
from cobra_kit.recipe import Recipe, ResolvedRecipe


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that is not here.

    Args:
        what: What, and which setting asks for it.
        remedies: Commands and links that supply it, each a line.
    """

    what: str
    remedies: tuple[str, ...]


def missing_packages(resolved: ResolvedRecipe) -> list[Missing]:
    """Returns the Python packages that components ask for and that are not installed."""
    return [
        Missing(f"package {requirement} for {part.component.qualified}: {state}", (f"pip install {requirement!r}",))
        for part in resolved.parts.values()
        for requirement, state in part.component.unmet().items()
    ]


def missing_data(recipe: Recipe) -> list[Missing]:
    """Returns the files and folders that the data source's settings name and that are not there."""
    found = []
    for name, path in _paths(source_settings(recipe)):
        if not expanded(path).exists():
            links = [f"{one.what}: {one.link}" for one in BY_SETTING.get(name, ())]
            found.append(Missing(f"data.{name}: {path} is not there", tuple(links or ("Give its path.",))))
    return found


def missing_benchmarks(recipe: Recipe) -> list[Missing]:
    """Returns the benchmarks that the recipe asks for, or its published row has, and its data source does not offer."""
    offered = offered_benchmarks(recipe)
    asked = recipe.evaluate.benchmarks if recipe.evaluate is not None else None
    row = recipe.paper or (recipe.ablation.paper if recipe.ablation is not None else None)
    published: list[str] = []
    if row is not None:
        table = paper_table(row.table)
        published = [name for name in table.columns if name not in (*table.settings, *table.means)]
    wanted = asked or ([] if offered else published)
    names = [column_label(name) if name in COLUMN_LABELS else name for name in wanted if name not in offered]
    if not names and offered:
        return []
    source = recipe.data.source if recipe.data is not None else ""
    listed = f"files of {', '.join(names)}" if names else "any benchmark"
    what = f"benchmarks: {listed}; the data source {source} has {'no held-out questions' if not offered else 'others'}"
    remedy = f"It has {', '.join(offered)}." if offered else "Training runs; questions need a source that has some."
    return [Missing(what, (remedy,))]


def missing_weights(model: VisionLanguageModel, resolved: ResolvedRecipe) -> list[Missing]:
    """Returns the weights and tokenizers that are neither packaged, nor files that are there, nor in the hub's cache.

    Nothing is fetched and nothing is loaded: components are asked for their weights while the hub's client only takes
    down what they want of it.

    Args:
        model: On the meta device.
        resolved: What it was composed from.
    """
    found: list[Missing] = []
    wanted: dict[_Request, str] = {}
    for kind, module in model.parts().items():
        part = resolved.parts[kind]
        name, weights = part.component.qualified, getattr(part.config, "weights", "none")
        if weights == "hub":
            asked = _asked_of_hub(cast("Component", module).load_pretrained) or _declared(part.config)
            wanted |= dict.fromkeys(asked, f"weights of {name}")
            if not asked:
                found.append(Missing(f"weights of {name}: from the hub, it does not say which", ()))
        elif weights not in ("none", "packaged") and not expanded(str(weights)).exists():
            found.append(Missing(f"weights of {name}: {weights} is not there", ("Give the path of a file or folder.",)))
    found += _tokenizer(resolved, wanted)
    for request, what in wanted.items():
        if not _cached(request):
            found.append(Missing(f"{what}: {request.repository}", (request.command(),)))
    return found


class _Request(NamedTuple):
    """Files of a hub repository."""

    repository: str
    patterns: tuple[str, ...]

    def command(self) -> str:
        """Returns the command that fetches them."""
        words = ["hf", "download", self.repository]
        for pattern in self.patterns:
            words += ["--include", pattern]
        return shlex.join(words)


def _declared(config: object) -> list[_Request]:
    """Returns the repository that a config names as `hub_id`, where asking for the weights told nothing."""
    hub_id = getattr(config, "hub_id", None)
    return [_Request(hub_id, ())] if isinstance(hub_id, str) else []


def _paths(settings: BaseModel) -> Iterator[tuple[str, Path]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            yield name, value


def _tokenizer(resolved: ResolvedRecipe, wanted: dict[_Request, str]) -> list[Missing]:
    """Adds what the backbone's tokenizer wants of the hub, or returns why there is none."""
    part = resolved.parts["backbone"]
    backbone = cast("type[Backbone]", part.component.load_class())
    name = part.component.qualified
    problems: list[CobraError] = []

    def ask() -> None:
        try:
            backbone.text_codec(part.config)
        except CobraError as error:
            problems.append(error)
            raise

    asked = _asked_of_hub(ask)
    for request in asked:
        wanted.setdefault(request, f"tokenizer of {name}")
    if asked or not problems:
        return []
    hint = tuple((problems[0].hint or "").splitlines())
    return [Missing(f"tokenizer of {name}: {problems[0].message}", hint)]


def _asked_of_hub(ask: Callable[[], object]) -> list[_Request]:
    """Returns what `ask` wants of the hub; what it does with empty files is ignored."""
    with tempfile.TemporaryDirectory() as folder, _recording(Path(folder)) as asked:
        # Of a stranger's component, on files without content, any error may come.
        with suppress(Exception):
            ask()
        return list(dict.fromkeys(asked))


@contextmanager
def _recording(folder: Path) -> Iterator[list[_Request]]:
    """Replaces the hub's download by one that notes what is wanted and gives empty files."""
    import huggingface_hub

    asked: list[_Request] = []
    original = huggingface_hub.snapshot_download

    def snapshot_download(repo_id: str, *args: Any, **options: Any) -> str:
        patterns = options.get("allow_patterns") or ()
        patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        asked.append(_Request(repo_id, patterns))
        place = folder / repo_id.replace("/", "--")
        place.mkdir(exist_ok=True)
        for pattern in patterns:
            file = place / pattern.replace("*", "x")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return str(place)

    huggingface_hub.snapshot_download = snapshot_download  # type: ignore[assignment]  # put back below
    try:
        yield asked
    finally:
        huggingface_hub.snapshot_download = original


def _cached(request: _Request) -> bool:
    from huggingface_hub import snapshot_download

    wanted = list(request.patterns) or None
    try:
        folder = Path(snapshot_download(request.repository, allow_patterns=wanted, local_files_only=True))
    except Exception:  # the client raises its HTTP library's errors beside its own
        return False
    return all(any(folder.glob(pattern)) for pattern in request.patterns)


def by_what(found: Sequence[Missing]) -> Mapping[str, Missing]:
    """Returns the same, each thing once: arms that share a part lack it once."""
    return {one.what: one for one in found}
