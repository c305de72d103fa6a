"""What a recipe needs and this machine lacks: weights, data files, packages; each with what supplies it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from cobra_kit.data.sources import source_settings
from cobra_kit.errors import CobraError
from cobra_kit.estimate.datasets import BY_SETTING
from cobra_kit.interfaces import Backbone
from cobra_kit.model import VisionLanguageModel
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
        if not path.expanduser().exists():
            links = [f"{one.what}: {one.link}" for one in BY_SETTING.get(name, ())]
            found.append(Missing(f"data.{name}: {path} is not there", tuple(links or ("Give its path.",))))
    return found


def missing_weights(model: VisionLanguageModel, resolved: ResolvedRecipe) -> list[Missing]:
    """Returns the weights and tokenizers that are neither packaged, nor files that are there, nor in the hub's cache.

    Nothing is fetched and nothing is loaded: components are asked for their weights while the hub's client only takes
    down what they want of it.

    Args:
        model: On the meta device.
        resolved: What it was composed from.
    """
    found: list[Missing] = []
    wanted: dict[tuple[str, tuple[str, ...]], str] = {}
    for kind, module in model.parts().items():
        part = resolved.parts[kind]
        weights = getattr(part.config, "weights", "none")
        name = part.component.qualified
        if weights == "hub":
            asked = _asked_of_hub(module.load_pretrained)  # type: ignore[arg-type]  # parts are components
            wanted |= dict.fromkeys(asked, f"weights of {name}")
            hub_id = getattr(part.config, "hub_id", None)
            if not asked:
                wanted[(str(hub_id), ())] = f"weights of {name}" if hub_id else ""
        elif weights not in ("none", "packaged") and not Path(str(weights)).expanduser().exists():
            found.append(Missing(f"weights of {name}: {weights} is not there", ("Give the path of a file or folder.",)))
    found += _missing_tokenizer(resolved, wanted)
    for (repository, patterns), what in wanted.items():
        if not what:
            found.append(Missing("weights from the hub; the component does not say which", ()))
        elif not _cached(repository, patterns):
            found.append(Missing(f"{what}: {repository}", (_download(repository, patterns),)))
    return found


def _paths(settings: BaseModel) -> Iterator[tuple[str, Path]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            yield name, value


def _missing_tokenizer(
    resolved: ResolvedRecipe, wanted: dict[tuple[str, tuple[str, ...]], str]
) -> list[Missing]:
    part = resolved.parts["backbone"]
    backbone = cast("type[Backbone]", part.component.load_class())
    problem: list[CobraError] = []

    def ask() -> None:
        try:
            backbone.text_codec(part.config)
        except CobraError as error:
            problem.append(error)
            raise

    asked = _asked_of_hub(ask)
    wanted |= {one: f"tokenizer of {part.component.qualified}" for one in asked if one not in wanted}
    if asked or not problem:
        return []
    error = problem[0]
    return [Missing(f"tokenizer of {part.component.qualified}: {error.message}", tuple((error.hint or "").splitlines()))]


def _asked_of_hub(ask: Callable[[], object]) -> list[tuple[str, tuple[str, ...]]]:
    """Returns (repository, file patterns) that `ask` wants of the hub; whatever it does with empty files is ignored."""
    with tempfile.TemporaryDirectory() as folder, _recording(Path(folder)) as asked:
        try:
            ask()
        except Exception:  # of a stranger's component, on files without content: anything may come
            pass
        return list(dict.fromkeys(asked))


@contextmanager
def _recording(folder: Path) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
    """Replaces the hub's download by one that notes what is wanted and gives empty files."""
    import huggingface_hub

    asked: list[tuple[str, tuple[str, ...]]] = []
    original = huggingface_hub.snapshot_download

    def snapshot_download(repo_id: str, *args: Any, **options: Any) -> str:
        patterns = options.get("allow_patterns") or ()
        patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        asked.append((repo_id, patterns))
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


def _cached(repository: str, patterns: Sequence[str]) -> bool:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repository, allow_patterns=list(patterns) or None, local_files_only=True))
    except Exception:  # the client raises its HTTP library's errors beside its own
        return False
    return all(any(folder.glob(pattern)) for pattern in patterns)


def _download(repository: str, patterns: Sequence[str]) -> str:
    words = ["hf", "download", repository]
    for pattern in patterns:
        words += ["--include", pattern]
    return shlex.join(words)


def by_what(found: Sequence[Missing]) -> Mapping[str, Missing]:
    """Returns the same, each thing once: arms that share a part lack it once."""
    return {one.what: one for one in found}
