"""Stages that several runs of a study have in common: trained once, kept in the study, loaded by whoever needs them.

Two runs share a stage if everything that its outcome depends on is equal: the parts that it involves, the data, its
settings, the seed, and every stage before it. So what they share is always the beginning of their training. Such a
beginning is a training of its own, in a folder named by a hash of all that; it goes on after a kill like any other,
and a lock sees to it that of several processes one does the work and the others wait.

STUDY/shared/stages/<key>/{stage.json, metrics.jsonl, checkpoints/}
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.data.cuts import MAX_CUT_SHARE
from cobra_kit.data.keys import short_hash
from cobra_kit.data.rows import DataSource
from cobra_kit.errors import CobraError, DamagedFile
from cobra_kit.events import Message, Reporter
from cobra_kit.files import read_sealed_json, refuse_links_out, write_sealed_json
from cobra_kit.locks import locked
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe.sections import TrainSection
from cobra_kit.study.plan.study_plan import RunPlan
from cobra_kit.train import RunSettings, StageResult, TrainIntervals, Validate, train_run, training_identity

DESCRIPTION = "stage.json"


@dataclass(frozen=True, slots=True)
class StagePrefix:
    """The stages of a run up to and including one of them.

    Args:
        stage: The last of them.
        key: Equal for runs whose outcome after this stage is equal.
        identity: What the key is a hash of.
        section: The stages and their settings.
    """

    stage: str
    key: str
    identity: dict[str, Any]
    section: TrainSection


def stage_prefixes(run: RunPlan, fingerprint: str) -> list[StagePrefix]:
    """Returns every beginning of a run's training, the shortest first.

    Args:
        run: The run whose stages are named.
        fingerprint: Fingerprint of its data.
    """
    stages = list(run.train.stages().items())
    parts = run.resolved.parts
    components = {kind: part.component.qualified for kind, part in parts.items()}
    prefixes = []
    for end, (name, _) in enumerate(stages, start=1):
        section = TrainSection(**dict(stages[:end]))
        identity = training_identity(components, parts, fingerprint, section, run.seed)
        prefixes.append(StagePrefix(name, short_hash(identity), identity, section))
    return prefixes


def shared_keys(runs: Sequence[RunPlan], fingerprints: Mapping[str, str]) -> frozenset[str]:
    """Returns the keys of the stage prefixes that more than one run has.

    Args:
        runs: The runs of a study.
        fingerprints: Fingerprints of the data, by the name of the run.
    """
    counted = Counter(prefix.key for run in runs for prefix in stage_prefixes(run, fingerprints[run.name]))
    return frozenset(key for key, count in counted.items() if count > 1)


@dataclass(frozen=True, slots=True)
class SharedStage:
    """A finished stage that several runs use. JSON-able by `asdict`.

    Args:
        key: Name of its folder.
        made_by: The run whose process finished it.
        result: Steps, loss and time of the stage.
    """

    key: str
    made_by: str
    result: StageResult


def shared_stages(
    run: RunPlan,
    model: VisionLanguageModel,
    source: DataSource,
    keys: frozenset[str],
    folder: Path,
    *,
    feature_folder: Path,
    report: Reporter,
    pace: TrainIntervals,
    validate: Validate | None,
) -> list[SharedStage]:
    """Brings a freshly composed model to the end of the stages that its run shares with others.

    Args:
        run: The run that the model is trained for.
        model: The freshly composed model; its weights change.
        source: The data that the run is trained on.
        keys: Keys of the stage prefixes that are shared.
        folder: Where they are kept; it is made.
        feature_folder: Where encoder features are kept.
        report: Told about training, and about stages that are taken from other runs.
        pace: How often to log, save and validate.
        validate: As for `train_run`.

    Returns:
        The shared stages in order; the run goes on behind them.

    Raises:
        CobraError: The folder cannot be written, or training failed; what was done stays.
    """
    finished: list[SharedStage] = []
    for prefix in stage_prefixes(run, source.fingerprint):
        if prefix.key not in keys:
            break
        place = folder / prefix.key

        def waiting(stage: str = prefix.stage) -> None:
            report(Message(text=f"{stage}: another process is training it for this study; waiting"))

        refuse_links_out(place, 3)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CobraError(f"cannot make the folder: {error.strerror or error}", where=str(place)) from error
        with locked(folder / f".{prefix.key}.lock", waiting) as alone:
            made_by = _maker(place)
            # Without a lock somebody may be at work there: then this process trains for itself, in its own folder.
            here = place if alone or made_by else place.with_name(f"{prefix.key}.{os.getpid()}-{secrets.token_hex(4)}")
            result = train_run(
                model,
                source,
                RunSettings(
                    prefix.section,
                    seed=run.seed,
                    feature_folder=feature_folder,
                    intervals=pace,
                    validate=validate,
                    done=[earlier.result for earlier in finished],
                    max_cut_share=MAX_CUT_SHARE,
                ),
                here,
                report=report,
            )
            if made_by is None:
                made_by = run.name
                write_sealed_json(
                    here / DESCRIPTION, {"stage": prefix.stage, "made_by": made_by, "identity": prefix.identity}
                )
            else:
                report(Message(text=f"{prefix.stage}: trained once for this study, by {made_by}"))
        finished.append(SharedStage(here.name, made_by, result.stages[-1]))
    return finished


def _maker(place: Path) -> str | None:
    """Returns which run finished a stage, or None while nobody has."""
    hint = "Delete it and give the study's command again: it is written anew, and the trained stage is kept."
    try:
        made_by = read_sealed_json(place / DESCRIPTION, hint=hint).get("made_by")
    except FileNotFoundError:
        return None
    if not isinstance(made_by, str):
        raise DamagedFile(place / DESCRIPTION, "damaged: it does not say which run made it", hint)
    return made_by
