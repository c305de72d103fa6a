"""One-file plugins: `--plugin ./file.py`, the same hooks without packaging."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from cobra_kit._plugins.records import PLUGIN_ID, PluginRecord
from cobra_kit.arguments import file_path
from cobra_kit.errors import PluginError
from cobra_kit.plugin import LONGEST_NAME, PLUGIN_API


def find_files(files: Sequence[Path]) -> list[tuple[PluginRecord, Callable[[], ModuleType]]]:
    """Returns a record for each plugin file, each file once, in the order given, and the function that imports it.

    Raises:
        PluginError: There is no such file, or its name makes no plugin id. The user named it, so it is an error.
    """
    # Not Path.resolve, which raises a bare RuntimeError on symbolic links that lead in a circle.
    unique = {Path(os.path.realpath(file_path(path, "--plugin"))): path for path in reversed(files)}
    return [_find(path, resolved) for resolved, path in reversed(unique.items())]


def _find(path: Path, resolved: Path) -> tuple[PluginRecord, Callable[[], ModuleType]]:
    if not resolved.is_file():
        what = "is a folder, not a file" if resolved.is_dir() else "does not exist"
        raise PluginError(f"plugin file {path} {what}", hint="--plugin takes one .py file")
    plugin = path.stem.replace("_", "-")
    if path.suffix != ".py" or len(plugin) > LONGEST_NAME or not PLUGIN_ID.fullmatch(plugin):
        raise PluginError(
            f"plugin file {path} has a name that makes no plugin id",
            hint="name it with lower-case letters, digits and '_', such as my_projector.py",
        )
    module = _module_name(path.stem, resolved)
    record = PluginRecord(plugin, str(path), PLUGIN_API, module, file=str(resolved))
    return record, lambda: _import_file(module, resolved)


def _module_name(stem: str, resolved: Path) -> str:
    """Returns a private name: the same in every process, and another one for a file of that name elsewhere."""
    digest = hashlib.sha256(str(resolved).encode()).hexdigest()[:12]
    word = re.sub(r"\W", "_", stem)
    return f"_cobra_kit_file_{word}_{digest}"


def _import_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    # Before it runs: the file's specs say target=f"{__name__}:Class", and pickles look classes up by module.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)  # it may be gone already
        raise
    return module
