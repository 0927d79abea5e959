"""Data to stdout, text for people to stderr."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console


def emit_json(document: Any) -> None:
    """Print one JSON document; not-a-number never gets here, since it is not JSON."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def people() -> Console:
    """A console on stderr. Without a terminal the width is fixed, so that tables stay whole."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=True, highlight=False, width=160)
    return console


def tables() -> Console:
    """A console on stdout for what a person asked to see."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)
