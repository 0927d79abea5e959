"""Times as runs store them."""

from __future__ import annotations

from datetime import UTC, datetime

_YEARS = range(1970, 3000)
"""A clock that was never set shows 1970; what lies outside cannot be drawn on an axis of time."""


def parse_time(text: str) -> datetime | None:
    """Return an ISO 8601 time in UTC, which is meant where it has no zone.

    ``None`` where it is no time that can be: a stored run may come from anybody.
    """
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year in _YEARS else None
