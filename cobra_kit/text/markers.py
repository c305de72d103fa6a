"""The `<image>` markers of LLaVA-form text, torch-free."""

from __future__ import annotations

from cobra_kit.arguments import text

IMAGE_MARKER = "<image>"
"""Stands in a user's message where an image belongs."""


def remove_markers(message: str) -> tuple[str, tuple[int, ...]]:
    """Returns the message without its markers, stripped afterwards, and where they stood.

    Cobra's rule (PAPER.md 1.6): the marker is deleted and nothing else, so two blanks around it stay two blanks.

    Args:
        message: A user's message with any number of markers.

    Returns:
        The clean text, and per marker, in order, the character of the clean text before which it stood
        (0 .. len(text); markers among the stripped blanks count as first or last).
    """
    parts = text(message, "a message").split(IMAGE_MARKER)
    joined = "".join(parts)
    clean = joined.strip()
    offset = len(joined) - len(joined.lstrip()) if clean else 0
    positions = []
    consumed = 0
    for part in parts[:-1]:
        consumed += len(part)
        positions.append(min(max(consumed - offset, 0), len(clean)))
    return clean, tuple(positions)
