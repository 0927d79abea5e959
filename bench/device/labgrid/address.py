"""How coordinators and tags are written in devices.yaml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

DEFAULT_PORT = 20408
DEFAULT = f"127.0.0.1:{DEFAULT_PORT}"
_ADDRESS = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:(?P<port>\d{1,5}))?"
)


def coordinator_address(text: str) -> str:
    """Return ``host:port`` of ``host`` or ``host:port``.

    Raises:
        ValueError: it is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"] or DEFAULT_PORT) < 65536:
        raise ValueError("write the coordinator as HOST or HOST:PORT")
    return f"{match['host']}:{match['port'] or DEFAULT_PORT}"


def coordinator_or_default(given: str | None) -> str:
    """Return the coordinator to use: the one given, else that of ``LG_COORDINATOR``, else labgrid's
    default.

    Raises:
        ValueError: the environment names none.
    """
    named = given or os.environ.get("LG_COORDINATOR") or DEFAULT
    try:
        return coordinator_address(named)
    except ValueError as error:
        raise ValueError(f"LG_COORDINATOR={named}: {error}") from None


def tag_text(value: Any) -> Any:
    """Tags are text to labgrid, also those that YAML takes for whole numbers."""
    return str(value) if type(value) is int else value


def tag_words(tags: Mapping[str, str]) -> list[str]:
    """Return tags as labgrid-client takes them."""
    return [f"{key}={tag}" for key, tag in tags.items()]
