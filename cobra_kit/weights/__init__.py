"""Checkpoints to tensors and back, safely: no code is run, nothing is half loaded, nothing is half written.

Public, so that no plugin carries its own copy.
"""

from cobra_kit.machine import available_memory
from cobra_kit.weights.hub import hub_file, hub_folder
from cobra_kit.weights.loading import load_into
from cobra_kit.weights.memory import check_memory
from cobra_kit.weights.packaged import load_packaged
from cobra_kit.weights.reading import FILE_NAMES, load_metadata, load_tensors
from cobra_kit.weights.saving import save_tensors

__all__ = [
    "FILE_NAMES",
    "available_memory",
    "check_memory",
    "hub_file",
    "hub_folder",
    "load_into",
    "load_metadata",
    "load_packaged",
    "load_tensors",
    "save_tensors",
]
