"""Texts in CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

_COMMANDS = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """Return the text of a cell, with an apostrophe before one that a spreadsheet would run."""
    return f"'{text}" if text.startswith(_COMMANDS) else text
