"""The facts that a study's numbers depend on, and the commands that make it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cobra_kit.errors import CobraError
from cobra_kit.names import is_pinned_package, is_word, path_word
from cobra_kit.recipe import differences, load_recipe
from cobra_kit.report.view import Command, Document
from cobra_kit.study.folder import MANIFEST, RECIPE
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.study.reading.stored_study import StoredStudy
from cobra_kit.trials import redact_url

_SESSION = (
    ("git commit", "git_commit"),
    ("Python", "python"),
    ("system", "system"),
    ("host", "host"),
    ("processor", "processor"),
    ("vectors, bits", "vector_bits"),
    ("cores", "cores"),
    ("threads", "threads"),
    ("memory, GiB", "memory_gib"),
    ("accelerator", "accelerator"),
)


def facts(study: StoredStudy) -> tuple[tuple[str, str], ...]:
    """Returns (name, value) of what the numbers depend on; several values where runs or sessions differed."""
    manifests = list(study.run_manifests)
    sessions = [session for manifest in manifests for session in manifest.get("sessions", ())]
    named = [
        ("recipe", study.name),
        ("profile", study.profile),
        ("seeds", ", ".join(map(str, study.seeds))),
        ("created", str(study.manifest.get("created", ""))),
        ("cobra-kit", _joined([study.manifest.get("cobra_kit"), *(session.get("cobra_kit") for session in sessions)])),
        *((label, _joined([session.get(key) for session in sessions])) for label, key in _SESSION),
        ("environment", _joined([environment_text(session) for session in sessions])),
        ("packages", _joined([_requirements(session) for session in sessions])),
        ("components", "\n".join(f"{name}: {origin}" for name, origin in _lock(study).items())),
        ("data", _joined([manifest.get("data") for manifest in manifests])),
    ]
    return tuple((name, value) for name, value in named if value)


def commands(study: StoredStudy) -> tuple[Command, ...]:
    """Returns how to run a study again, exactly, and how to draw its report."""
    path = path_word(study.path)
    listed = []
    sessions = study.sessions
    if len({_requirements(session) for session in sessions}) == 1 and (install := _install(sessions[0])):
        listed.append(Command(purpose="The same versions of what it computes with:", line=install))
    # Its name is what somebody wrote: nothing is looked for under it that is no name of a recipe.
    named = is_word(study.name) and (not study.profile or is_word(study.profile))
    changed = _changed(study) if named else None
    if changed == 0:
        line = shlex.join(["cobra-kit", "run", study.name, *_profile(study), "--out", path])
        listed.append(
            Command(
                purpose="The recipe of that name says the same today. In this folder the command goes on where the "
                "study stopped; in another it runs the whole study:",
                line=line,
            )
        )
    differs = f" (the recipe named {study.name} says something else today, in {changed} settings)" if changed else ""
    purpose = f"From the study's own recipe, which stands below and leaves nothing to a default{differs}:"
    again = shlex.join(["cobra-kit", "run", f"{path}/{RECIPE}", "--out", f"{path}-again"])
    listed.append(Command(purpose=purpose, line=again))
    listed.append(Command(purpose="This page again:", line=shlex.join(["cobra-kit", "report", path])))
    return tuple(listed)


def documents(study: StoredStudy) -> tuple[Document, ...]:
    """Returns the study's recipe and manifest, whole."""
    manifest = json.dumps({**study.manifest, **_redacted_storage(study)}, indent=2, ensure_ascii=False)
    return (Document(name=RECIPE, text=study.recipe_text), Document(name=MANIFEST, text=manifest))


def _redacted_storage(study: StoredStudy) -> dict[str, str]:
    """Returns the entry of the manifest that names a database, without a password that an older version left there."""
    storage = study.manifest.get("storage")
    return {} if storage is None else {"storage": redact_url(str(storage))}


def _changed(study: StoredStudy) -> int | None:
    """Returns in how many settings the recipe of that name differs now; None where there is none to compare with."""
    try:
        plan = make_plan(load_recipe(study.name, profile=study.profile or None))
    except CobraError:
        return None
    return len(differences(dict(study.identity), json.loads(json.dumps(plan.identity()))))


def _profile(study: StoredStudy) -> list[str]:
    return ["--profile", study.profile] if study.profile else []


def _lock(study: StoredStudy) -> dict[str, str]:
    lock = study.identity.get("lock", {})
    return {str(name): str(origin) for name, origin in lock.items()} if isinstance(lock, dict) else {}


def _install(session: Mapping[str, Any]) -> str | None:
    """Returns the command that installs a session's packages; None where it would be more than that."""
    packages = session.get("packages") or {}
    if not packages or not all(is_pinned_package(name, version) for name, version in packages.items()):
        return None
    return shlex.join(["pip", "install", *(f"{name}=={version}" for name, version in packages.items())])


def _requirements(session: Mapping[str, Any]) -> str:
    return " ".join(f"{name}=={version}" for name, version in (session.get("packages") or {}).items())


def environment_text(session: Mapping[str, Any]) -> str:
    """Returns the variables that chose a session's kernels and instructions, as a shell takes them; often none."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in (session.get("environment") or {}).items())


def _joined(values: list[Any]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))
