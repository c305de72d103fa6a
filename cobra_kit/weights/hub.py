"""Files of a Hugging Face hub repository, whole or not at all, and an error that says how to do without the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from cobra_kit.errors import WeightsError
from cobra_kit.names import download_command
from cobra_kit.weights.listing import listed


@dataclass(frozen=True, slots=True)
class HubRequest:
    """Files that are wanted of a hub repository.

    Args:
        repository: The repository, `owner/name`.
        patterns: `fnmatch` patterns on paths in the repository; none: all files.
        revision: Branch, tag or commit; None: the main branch.
    """

    repository: str
    patterns: tuple[str, ...] = ()
    revision: str | None = None


_noted: ContextVar[list[HubRequest] | None] = ContextVar("cobra_kit_hub_requests", default=None)


@contextmanager
def noted_requests() -> Iterator[list[HubRequest]]:
    """Yields what `hub_folder` and `hub_file` are asked for within the block, where they fetch nothing and raise.

    A context variable: what other threads ask for meanwhile is fetched as ever.
    """
    requests: list[HubRequest] = []
    token = _noted.set(requests)
    try:
        yield requests
    finally:
        _noted.reset(token)


def hub_folder(repository: str, *, patterns: Sequence[str], revision: str | None = None, where: str) -> Path:
    """Returns the local folder with files of a hub repository, downloaded first where they are not there yet.

    They are kept in huggingface_hub's own cache (`HF_HOME`), shared with timm, open_clip and transformers. A file
    appears there under its name only when it has been received to the last byte; what an interrupted download left is
    fetched again by the next call, and never returned.

    Args:
        repository: The repository, `owner/name`.
        patterns: Which files, `fnmatch` patterns on paths in the repository; at least one file must match.
        revision: Branch, tag or commit; None: the main branch.
        where: The setting that asks for it, such as `siglip/so400m-384: weights: hub`, for messages.

    Raises:
        WeightsError: No network, no such repository, one that needs a login, an incomplete download.
    """
    requests = _noted.get()
    if requests is not None:
        requests.append(HubRequest(repository, tuple(patterns), revision))
        raise WeightsError(f"{_wanted(repository, patterns, revision)}, but nothing is fetched here", where=where)

    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # the client raises its HTTP library's errors beside its own and the system's
        message = f"{_wanted(repository, patterns, revision)}, {_reason(error)}"
        raise WeightsError(message, where=where, hint=_remedy(error, repository)) from error
    names = _matching(folder, patterns)
    if not names:
        message = f"{_wanted(repository, patterns, revision)}, but it has no such file"
        raise _NoSuchFile(message, where=where, hint=_without_hub(repository))
    problem = _incomplete(folder, names)
    if problem:
        message = f"{_wanted(repository, patterns, revision)}, but {problem}"
        raise WeightsError(message, where=where, hint=_without_hub(repository))
    return folder


def hub_file(repository: str, names: Sequence[str], *, revision: str | None = None, where: str) -> Path:
    """Returns the first of the named files that a hub repository has; the others are not downloaded.

    Args:
        repository: The repository, `owner/name`.
        names: Paths in the repository, the preferred one first, such as safetensors before a pickle.
        revision: Branch, tag or commit; None: the main branch.
        where: The setting that asks for it, for messages.

    Raises:
        WeightsError: See `hub_folder`. Only where the repository lacks a file is the next one tried.
    """
    for name in names[:-1]:
        try:
            return hub_folder(repository, patterns=[name], revision=revision, where=where) / name
        except _NoSuchFile:
            continue
    return hub_folder(repository, patterns=names[-1:], revision=revision, where=where) / names[-1]


class _NoSuchFile(WeightsError):
    """The repository can be had, and has no file of that name."""


def _wanted(repository: str, patterns: Sequence[str], revision: str | None) -> str:
    at = f" at {revision}" if revision else ""
    return f"wanted {listed(patterns)} of the hub repository {repository}{at}"


def _reason(error: Exception) -> str:
    """Returns why the files could not be had, in words."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return "which is gated: its owner grants access to accounts that asked for it"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "which does not exist there, or is private"
    if isinstance(error, errors.RevisionNotFoundError):
        return "which has no such revision"
    if isinstance(error, errors.IncompleteSnapshotError):
        return f"of which an interrupted download left only a part in {error.snapshot_path}; {_no_network(error)}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return f"which is not in {constants.HF_HUB_CACHE}; {_no_network(error)}"
    if isinstance(error, errors.HFValidationError):
        return f"which is no repository name: {_first_line(error)}"
    return f"but the download failed: {type(error).__name__}: {_first_line(error)}"


def _no_network(error: Exception) -> str:
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return "the network may not be used (HF_HUB_OFFLINE)"
    cause = error.__cause__
    return f"{constants.ENDPOINT} cannot be reached" + (
        f" ({type(cause).__name__}: {_first_line(cause)})" if cause else ""
    )


def _remedy(error: Exception, repository: str) -> str:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        page = f"{constants.ENDPOINT}/{repository}"
        return f"Ask for access at {page}, then log in: hf auth login, or HF_TOKEN.\n{_without_hub(repository)}"
    if isinstance(error, (errors.RepositoryNotFoundError, errors.HFValidationError)):
        return f"Check its name; a private one needs a login: hf auth login, or HF_TOKEN.\n{_without_hub(repository)}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "Check the revision; None is the main branch."
    again = "With the hub in reach, run the same again: what is there already is not fetched twice."
    return f"{again}\n{_without_hub(repository)}"


def _without_hub(repository: str) -> str:
    name = repository.rpartition("/")[2]
    return (
        f"Without the hub: fetch it elsewhere ({download_command(repository, '--local-dir', name)}), copy the folder "
        "here and "
        f"name it in the recipe (weights: PATH/{name}); or set HF_HOME to a cache that has it."
    )


def _matching(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Returns the paths in a snapshot that match, links to nothing included."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _incomplete(folder: Path, names: Sequence[str]) -> str | None:
    """Returns what is wrong with a snapshot that the client took for good, or None."""
    broken = [name for name in names if not (folder / name).exists()]
    if broken:
        return f"the files behind {listed(broken)} are gone from its cache {folder}"
    # With the repository's own list of files at hand the client has compared; without it (a cache written by an
    # older client, and no network) an unfinished download is the only sign that a file may be lacking.
    unfinished = [] if _has_file_list(folder) else _unfinished(folder)
    if unfinished:
        return f"an interrupted download left {listed(unfinished)} in {folder.parents[1] / 'blobs'}"
    return None


def _has_file_list(folder: Path) -> bool:
    return (folder.parents[1] / "trees" / f"{folder.name}.json").is_file()


def _unfinished(folder: Path) -> list[str]:
    """Returns partly downloaded files that no later download completed."""
    blobs = folder.parents[1] / "blobs"
    parts = sorted(path for path in blobs.glob("*.incomplete"))
    return [path.name for path in parts if not (blobs / path.name.partition(".")[0]).exists()]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
