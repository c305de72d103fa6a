"""Evaluation: predictions per benchmark, and the named rules that score them.

    from cobra_kit.evaluate.predict import predict              # asked once, kept on disk
    from cobra_kit.evaluate.score import score                  # numbers, by the benchmark's rule
    from cobra_kit.evaluate.control import shuffled_images      # the same questions with wrong images

Importing this package imports no torch, so that reports can be drawn without it.
"""

from __future__ import annotations
