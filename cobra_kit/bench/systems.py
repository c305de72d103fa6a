"""The systems whose speed the paper prints (Table 3), measured here where a recipe has their architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from cobra_kit.bench.bandwidth import measure_bandwidth
from cobra_kit.bench.memory import Need, fits, free_memory, least_seconds, needs
from cobra_kit.bench.results import BenchResult, NotRun
from cobra_kit.bench.run import Gathered, finished, measure_together
from cobra_kit.bench.settings import Settings
from cobra_kit.bench.subjects import Subject
from cobra_kit.errors import CobraError
from cobra_kit.formatting import gigabytes
from cobra_kit.model.device import device_named, dtype_named
from cobra_kit.paper import PaperTable, paper_table, paper_table_names
from cobra_kit.recipe import ResolvedRecipe, load_recipe, resolve, resolve_arms
from cobra_kit.recipe.not_built import NOT_BUILT

PREFIX = "paper."
PAPER, LAPTOP = "paper", "laptop"
LONGEST = 600.0
"""Seconds that one system of a table may take, as far as that can be foreseen."""

_RECIPES: dict[str, tuple[str, str | None]] = {
    "LLaVA-Phi": ("baselines/llava_phi", None),
    "MobileVLM v2": ("baselines/mobilevlm_v2", None),
    "Cobra-3.5B": ("cobra_3b", None),
    "Cobra-LDPv2-3.5B": ("ablation_projector", "ldpv2"),
    "Cobra-8B": ("cobra_8b", None),
}
"""Per row of the table the recipe, and the arm of it, with that system's parts; how it is trained is of no matter."""

_NOT_BUILT = {"MoE-LLaVA": "baselines/moe_llava"}


@dataclass(frozen=True, slots=True)
class Systems:
    """The systems of a table.

    Args:
        table: The published table.
        profile: The profile whose sizes are measured.
        subjects: The systems that recipes can build.
        not_run: The systems that no recipe has, and why.
    """

    table: PaperTable
    profile: str
    subjects: tuple[Subject, ...]
    not_run: tuple[NotRun, ...]

    @property
    def printed(self) -> dict[str, tuple[float, float]]:
        """Returns per system the (tokens per second, seconds) that the paper prints."""
        figures = {}
        for name, row in self.table.rows.items():
            rate, total = row.number("tokens_per_s"), row.number("total_s")
            if rate is not None and total is not None:
                figures[name] = (rate, total)
        return figures


def systems_of(name: str, profile: str | None = None, overrides: Sequence[str] = ()) -> Systems:
    """Returns the systems of `paper.table3`.

    Args:
        name: The table's name, such as `paper.table3`.
        profile: `paper`, their own sizes, unless given; `laptop`: their architectures in small.
        overrides: Settings of every recipe, as `--set` takes them.

    Raises:
        CobraError: The table has no speeds.
    """
    table = _latency_table(name)
    chosen = profile or PAPER
    subjects, without = [], []
    for row in table.rows:
        if row in _RECIPES:
            recipe, arm = _RECIPES[row]
            try:
                subjects.append(Subject(row, _resolved(recipe, arm, chosen, overrides)))
            except CobraError as error:
                without.append(NotRun(row, " ".join(str(error).split())))
        else:
            reasons = [system.reason for system in NOT_BUILT if system.name == _NOT_BUILT.get(row)]
            without.append(NotRun(row, reasons[0] if reasons else "no recipe has its parts"))
    return Systems(table, chosen, tuple(subjects), tuple(without))


def bench_systems(
    systems: Systems, settings: Settings, *, report: Callable[[str], None] = lambda line: None
) -> BenchResult:
    """Measures the systems that fit: side by side where they do together, else one after another.

    Raises:
        CobraError: A device or dtype is not there.
        KeyboardInterrupt: Before anything was measured.
    """
    device = device_named(settings.device)
    for name in settings.dtypes:
        dtype_named(name, device)
    report(f"counting what {len(systems.subjects)} systems need")
    all_needs = {need.subject: need for need in needs(systems.subjects, settings, device)}
    bandwidth = measure_bandwidth(device)
    reasons = {name: _why_not(need, settings, device, bandwidth.best) for name, need in all_needs.items()}
    not_run = [NotRun(name, reason) for name, reason in reasons.items() if reason is not None]
    fitting = [subject for subject in systems.subjects if reasons[subject.name] is None]
    side_by_side = fits([all_needs[subject.name] for subject in fitting], device)
    gathered = Gathered()
    for group in [fitting] if side_by_side else [[subject] for subject in fitting]:
        if group and not gathered.interrupted:
            measure_together(group, settings, device, gathered, report)
    return finished(
        gathered,
        settings,
        device,
        bandwidth,
        recipe=f"{systems.table.title}",
        profile=systems.profile,
        not_run=[*not_run, *systems.not_run],
        paper=systems.printed,
        side_by_side=side_by_side,
    )


def is_table(name: str) -> bool:
    """Returns whether a name is meant for a published table and not for a recipe."""
    return name.startswith(PREFIX)


def _latency_table(name: str) -> PaperTable:
    tables = [paper_table(name) for name in paper_table_names()]
    latency = {f"{PREFIX}table{table.number}": table for table in tables if table.measures == "latency"}
    if name in latency:
        return latency[name]
    others = {f"{PREFIX}table{table.number}" for table in tables if table.number is not None}
    hint = f"`cobra-kit reproduce {name}` is about scores." if name in others else "`cobra-kit reproduce` has the rest."
    raise CobraError(f"no speeds in {name!r}: they are in {' and '.join(latency)}", hint=hint)


def _resolved(recipe: str, arm: str | None, profile: str, overrides: Sequence[str]) -> ResolvedRecipe:
    loaded = load_recipe(recipe, profile=profile, overrides=overrides)
    return resolve(loaded) if arm is None else resolve_arms(loaded)[arm]


def _why_not(need: Need, settings: Settings, device: torch.device, bandwidth: float) -> str | None:
    if need.problem is not None:
        return f"it cannot be built here: {need.problem}"
    if not fits([need], device):
        return f"needs {gigabytes(need.total)} of memory, {gigabytes(free_memory(device) or 0)} are free"
    taken = least_seconds(need, settings, bandwidth)
    if taken > LONGEST:
        rounds = 1 + settings.warmup + settings.repeats
        return (
            f"takes {taken / 60:,.0f} minutes here at the least: {settings.new_tokens} tokens, {rounds} times, "
            "each reading all weights; fewer --repeats and --warmup take less, or measure its recipe by itself"
        )
    return None
