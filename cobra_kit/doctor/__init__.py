"""What `cobra-kit doctor` finds out about this machine. Importing this package imports no torch.

examine(recipe, ...) -> Examination
"""

from __future__ import annotations

from cobra_kit.doctor.examination import Examination, examine

__all__ = ["Examination", "examine"]
