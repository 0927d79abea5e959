"""Texts in CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

_COMMANDS = ("=", "+", "-", "@", "\t", "\r")


def begins_like_formula(text: str) -> bool:
    """Whether a spreadsheet would run a cell with this text."""
    return text.startswith(_COMMANDS)


def harmless(text: str) -> str:
    """Return the text of a cell, with an apostrophe before one that begins like a formula."""
    return f"'{text}" if begins_like_formula(text) else text
