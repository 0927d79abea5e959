"""``bench doctor``: what is in order on a device or on this machine, and what helps where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from bench.cli import EXIT_DEVICE, EXIT_FAILED_CASE, options
from bench.cli.output import emit_json, tables
from bench.config import find_device, load_devices
from bench.export.cache import default_cache
from bench.onboarding.checks import Check, Result
from bench.onboarding.examination import Examined, examine
from bench.onboarding.host_checks import host_checks

MARKS = {Result.OK: "✓", Result.FAILED: "✗", Result.NOT_APPLICABLE: "–"}
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
        examined = examine(name, find_device(load_devices(devices_path), name))
    if as_json:
        checks = [{**asdict(check), "result": check.result.value} for check in examined.checks]
        emit_json({"can_measure": examined.can_measure, "checks": checks})
    else:
        _show(examined.checks)
    if not examined.reached:
        return EXIT_DEVICE
    return 0 if examined.can_measure else EXIT_FAILED_CASE


def _show(checks: Sequence[Check]) -> None:
    width = max(len(check.name) for check in checks)
    console = tables()
    for check in checks:
        line = Text.assemble(
            (MARKS[check.result], STYLES[check.result]), f" {check.name:{width}}  {check.found}"
        )
        console.print(line, soft_wrap=True)
        if check.fix:
            console.print(Text(f"  {'':{width}}  → {check.fix}"), soft_wrap=True)
