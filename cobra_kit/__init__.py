"""cobra-kit: compare the parts of state-space multimodal language models, fairly, on any machine.

Importing this package imports no torch; the public names below are loaded when first used.
"""

from __future__ import annotations

__version__ = "0.1.0"
