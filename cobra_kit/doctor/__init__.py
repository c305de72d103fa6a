"""The findings of `cobra-kit doctor` on this machine. Importing this package imports no torch.

examine(recipe, ...) -> Examination
"""

from __future__ import annotations

from cobra_kit.doctor.examination import Examination, examine

__all__ = ["Examination", "examine"]
