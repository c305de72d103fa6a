"""The wording of VSR's statements."""

from __future__ import annotations

from cobra_kit_benchmarks.common.protocol import PAPER

PROMPTS = {
    PAPER: 'Based on the image, is this statement "True" or "False"? {question}\n'
    'Respond with "True" or "False" directly.',
}
