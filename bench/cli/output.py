"""Data to stdout, text for people to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from bench.cli.printable import escaped_json, printable


def emit_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json_document(document))


def json_document(document: Any) -> str:
    """Return a JSON document; not-a-number never gets here, since it is not JSON."""
    return escaped_json(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


class _Patient(Console):
    """A console whose reader may go away: what it would have said is lost, what it is about is
    not (a run goes on without a terminal). Only its own styles reach the terminal as escapes."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Make visible what would command the terminal in the texts to show."""
        for segment in super().render(renderable, options):
            if segment.control is None:
                segment = Segment(printable(segment.text), segment.style)
            yield segment

    def on_broken_pipe(self) -> None:
        """Say no more."""
        self.quiet = True
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, (sys.stderr if self.stderr else sys.stdout).fileno())


def people() -> Console:
    """A console on stderr. Without a terminal the width is fixed, so that tables stay whole."""
    return _console(stderr=True)


def tables() -> Console:
    """A console on stdout for what a person asked to see."""
    return _console(stderr=False)


def _console(stderr: bool) -> Console:
    # A model may be called mine:two, which is no emoji.
    console = _Patient(stderr=stderr, highlight=False, emoji=False)
    if console.is_terminal:
        return console
    return _Patient(stderr=stderr, highlight=False, emoji=False, width=160)
