"""The place of Triton's compiled kernels: code, which is loaded again only from where nobody else could have put it."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from cobra_kit.files import code_cache, distrust, expanded, make_private

logger = logging.getLogger("cobra_kit.mamba")

_VARIABLE = "TRITON_CACHE_DIR"


@cache
def secure_triton_cache() -> None:
    """Sees to it, before Triton compiles anything, that its cache is this user's own.

    Where somebody else could write in it, or it is no absolute path (`~` without a home), Triton is given a folder in
    our cache, else one for this process alone; a line of the log says so.
    """
    folder = _triton_folder()
    if not folder.is_absolute():
        reason, remedy = f"{folder} is no absolute path", f"set {_VARIABLE} to one"
    elif (problem := distrust(folder, whole_tree=True)) is not None:
        reason, remedy = problem.reason, problem.remedy.replace("COBRA_KIT_CACHE", _VARIABLE)
    else:
        return
    private = _private_folder()
    os.environ[_VARIABLE] = str(private)
    logger.warning("Triton's cache %s is not used (%s): %s is; %s", folder, reason, private, remedy)


def _triton_folder() -> Path:
    """Returns the folder that Triton would take, as its `knobs` find it."""
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    return Path(os.environ.get("TRITON_HOME") or expanded("~"), ".triton", "cache")


def _private_folder() -> Path:
    folder = Path(os.path.realpath(code_cache())) / "triton"
    try:
        make_private(folder)
        if distrust(folder, whole_tree=True) is None:
            return folder
    except OSError:  # cannot be made there
        pass
    temporary = tempfile.mkdtemp(prefix="cobra-kit-triton-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)
