"""``bench doctor``: what is in order on a device or on this machine, and what helps where not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap

import click
from rich.text import Text

from bench.cli import EXIT_DEVICE, EXIT_FAILED_CASE, options
from bench.cli.output import emit_json, people, tables
from bench.config.devices_file import find_device, load_devices
from bench.export.cache import default_cache
from bench.onboarding.checks import Check, Result
from bench.onboarding.examination import Examined, examine
from bench.onboarding.host_checks import host_checks

MARKS = {Result.OK: "✓", Result.FAILED: "✗", Result.NOT_APPLICABLE: "–"}
LEAST_ROOM = 30
"""Columns that a text gets on the narrowest terminal."""
STYLES = {Result.OK: "green", Result.FAILED: "red", Result.NOT_APPLICABLE: "dim"}


@click.command()
@click.argument("name", required=False)
@options.devices_file
@options.as_json
def doctor(name: str | None, devices_path: Path | None, as_json: bool) -> int:
    """Check a device (or, without NAME, this machine) and say what helps.

    Loads the device for some seconds. Exit code 0: it can measure; 1: something prevents that;
    4: it cannot be reached.
    """
    if name is None:
        examined = Examined(tuple(host_checks(devices_path, default_cache())), reached=True)
    else:
        device = find_device(load_devices(devices_path), name)
        people().print(f"{name}: asking it, and loading its CPUs for some seconds", markup=False)
        examined = examine(name, device)
    if as_json:
        checks = [{**asdict(check), "result": check.result.value} for check in examined.checks]
        emit_json({"can_measure": examined.can_measure, "checks": checks})
    else:
        _show(examined.checks)
    if not examined.reached:
        return EXIT_DEVICE
    return 0 if examined.can_measure else EXIT_FAILED_CASE


def _show(checks: Sequence[Check]) -> None:
    """Print a line a check, with its fix below; on a terminal long ones are broken and indented."""
    console = tables()
    name_width = max(len(check.name) for check in checks)
    indent = name_width + 4
    room = max(console.width - indent, LEAST_ROOM) if console.is_terminal else sys.maxsize
    for check in checks:
        found, *more = _broken(check.found, room)
        mark = (MARKS[check.result], STYLES[check.result])
        console.print(Text.assemble(mark, f" {check.name:{name_width}}  {found}"), soft_wrap=True)
        fix, *rest = _broken(check.fix, room - 2)
        more += [f"→ {fix}", *(f"  {line}" for line in rest)] if check.fix else []
        for line in more:
            console.print(Text(" " * indent + line), soft_wrap=True)


def _broken(text: str, room: int) -> list[str]:
    """Return the lines of a text; commands in it are not broken at their hyphens."""
    return wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]
