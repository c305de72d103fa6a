"""The needs of a recipe that this machine lacks: weights, data files, packages; each with what supplies it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cobra_kit._plugins import call_component
from cobra_kit.data.sources import offered_benchmarks
from cobra_kit.errors import CobraError
from cobra_kit.estimate.missing_data import Missing, missing_benchmark_files
from cobra_kit.files import expanded
from cobra_kit.names import download_command, install_command
from cobra_kit.paper import COLUMN_LABELS, column_label, paper_table
from cobra_kit.recipe import Recipe, ResolvedRecipe
from cobra_kit.recipe.parts import ResolvedPart
from cobra_kit.weights.hub import HubRequest, noted_requests

if TYPE_CHECKING:
    from cobra_kit.interfaces import Backbone, Component
    from cobra_kit.model import VisionLanguageModel


def missing_packages(resolved: ResolvedRecipe) -> list[Missing]:
    """Returns the Python packages that components ask for and that are not installed."""
    return [
        Missing(f"package {requirement} for {part.component.qualified}: {state}", (install_command([requirement]),))
        for part in resolved.parts.values()
        for requirement, state in part.component.unmet().items()
    ]


def missing_benchmarks(recipe: Recipe) -> list[Missing]:
    """Returns the benchmarks that the recipe asks for, or its published row has, and its data source does not offer."""
    if recipe.evaluate is not None and recipe.evaluate.named_benchmarks():
        return missing_benchmark_files(recipe)
    offered = offered_benchmarks(recipe)
    asked = recipe.evaluate.own_benchmarks if recipe.evaluate is not None else None
    row = recipe.paper or (recipe.ablation.paper if recipe.ablation is not None else None)
    published: list[str] = []
    if row is not None:
        table = paper_table(row.table)
        published = [name for name in table.columns if name not in (*table.settings, *table.means)]
    wanted = asked or ([] if offered else published)
    names = [column_label(name) if name in COLUMN_LABELS else name for name in wanted if name not in offered]
    if not names and offered:
        return []
    source = ", ".join(section.source for section in recipe.sources)
    listed = f"files of {', '.join(names)}" if names else "any benchmark"
    what = f"benchmarks: {listed}; the data source {source} has {'no held-out questions' if not offered else 'others'}"
    remedy = f"It has {', '.join(offered)}." if offered else "Training runs; questions need a source that has some."
    return [Missing(what, (remedy,))]


def missing_weights(model: VisionLanguageModel, resolved: ResolvedRecipe) -> list[Missing]:
    """Returns the weights and tokenizers that are neither packaged, nor files that are there, nor in the hub's cache.

    Nothing is fetched and nothing is loaded: a component says which files its weights come from.

    Args:
        model: The model, on the meta device.
        resolved: The recipe that it was composed from.
    """
    missing: list[Missing] = []
    wanted: dict[HubRequest, str] = {}
    for kind, module in model.parts().items():
        part = resolved.parts[kind]
        name, weights = part.component.qualified, getattr(part.config, "weights", "none")
        if weights == "hub":
            requests = _weights_requests(part, cast("Component", module))
            wanted |= dict.fromkeys(requests, f"weights of {name}")
            if not requests:
                missing.append(Missing(f"weights of {name}: from the hub, it does not say which", ()))
        elif weights not in ("none", "packaged") and not expanded(str(weights)).exists():
            remedy = ("Give the path of a file or folder.",)
            missing.append(Missing(f"weights of {name}: {weights} is not there", remedy))
    missing += _tokenizer(resolved, wanted)
    for request, what in wanted.items():
        if not _cached(request):
            missing.append(Missing(f"{what}: {request.repository}", (_command(request),)))
    return missing


def _command(request: HubRequest) -> str:
    """Returns the command that fetches what is wanted."""
    words = [] if request.revision is None else ["--revision", request.revision]
    for pattern in request.patterns:
        words += ["--include", pattern]
    return download_command(request.repository, *words)


def _weights_requests(part: ResolvedPart, module: Component) -> list[HubRequest]:
    """Returns what a component's weights want of the hub: what it names, else the repository `hub_id` of its config."""
    patterns: dict[tuple[str, str | None], list[str]] = {}
    for file in call_component(part.component, module.pretrained_files, part.config):
        if file.repository is not None:
            patterns.setdefault((file.repository, file.revision), []).append(file.file)
    if patterns:
        return [HubRequest(name, tuple(files), revision) for (name, revision), files in patterns.items()]
    hub_id = getattr(part.config, "hub_id", None)
    return [HubRequest(hub_id)] if isinstance(hub_id, str) else []


def _tokenizer(resolved: ResolvedRecipe, wanted: dict[HubRequest, str]) -> list[Missing]:
    """Adds what the backbone's tokenizer wants of the hub, or returns why there is none."""
    part = resolved.parts["backbone"]
    backbone = cast("type[Backbone]", part.component.load_class())
    name = part.component.qualified
    problem: CobraError | None = None
    # Of a stranger's component any error may come; only ours say what is missing.
    with noted_requests() as requests, suppress(Exception):
        try:
            backbone.text_codec(part.config)
        except CobraError as error:
            problem = error
    for request in requests:
        wanted.setdefault(request, f"tokenizer of {name}")
    if requests or problem is None:
        return []
    hint = tuple((problem.hint or "").splitlines())
    return [Missing(f"tokenizer of {name}: {problem.message}", hint)]


def _cached(request: HubRequest) -> bool:
    from huggingface_hub import snapshot_download

    wanted, revision = list(request.patterns) or None, request.revision
    try:
        folder = Path(
            snapshot_download(request.repository, revision=revision, allow_patterns=wanted, local_files_only=True)
        )
    except Exception:  # the client raises its HTTP library's errors beside its own
        return False
    return all(any(folder.glob(pattern)) for pattern in request.patterns)


def by_what(missing: Sequence[Missing]) -> Mapping[str, Missing]:
    """Returns the same, each thing once: arms that share a part lack it once."""
    return {thing.what: thing for thing in missing}
