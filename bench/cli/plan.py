"""``bench plan``: what a plan file would measure, without touching a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bench.analysis.marker_pattern import markers_s
from bench.cli import options
from bench.cli.output import emit_json, people, tables
from bench.config.device_settings import DeviceSettings
from bench.config.devices_file import load_devices
from bench.fleet.selection import select
from bench.plan.checks import loose_ends, require_power, require_runnable
from bench.plan.file import choose_procedure, load_plan
from bench.plan.plan import Plan, expand, make_plan, refusal
from bench.plan.procedures import ExpectedTime, doubts, expected_time
from bench.power.choice import asked
from bench.records.case import Case

JETSON_LAG_S = 0.43
"""Time constant of an INA3221 as NVIDIA's kernels set it; taken for a board not yet asked."""

FAST_METER_S = 0.01
"""Period of a meter that has not been asked yet: load markers take no less for a faster one."""


@click.group()
def plan() -> None:
    """Show what a plan file would measure."""


@plan.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="PLAN.YAML")
@options.devices_file
@options.as_json
def show(path: Path, devices_path: Path | None, as_json: bool) -> None:
    """List the cases per device, those that cannot run with the reason, and the time it takes."""
    file = load_plan(path)
    known = load_devices(devices_path)
    devices = select(file.devices or ("local",), known)
    procedure = choose_procedure(file, None, {})
    made = make_plan(**file.arguments(), procedure=procedure, skips=True)
    cases = {name: expand(made, name, device.threads) for name, device in devices.items()}
    require_power(made, {name: device.power for name, device in devices.items()})
    require_runnable(made, [case for of_device in cases.values() for case in of_device])
    times = {name: _time(made, cases[name], device) for name, device in devices.items()}
    warnings = loose_ends(made, {name: device.threads for name, device in devices.items()})
    for of_device in cases.values():
        warnings += doubts(procedure, _runnable(made, of_device))
    warnings = list(dict.fromkeys(warnings))
    if as_json:
        emit_json(_document(made, cases, times, warnings))
        return
    for name, of_device in cases.items():
        tables().print(_table(made, name, of_device))
        count = len(_runnable(made, of_device))
        text = f"{name}: {count} of {len(of_device)} cases can run, {_words(times[name])}"
        text += _markers(devices[name])
        click.echo(f"{text}, procedure {procedure.name}")
    for text in warnings:
        people().print(f"bench: warning: {text}", markup=False)


def _time(plan: Plan, cases: list[Case], device: DeviceSettings) -> ExpectedTime:
    sensor = asked(device.power, plan.power).sensor
    lag_s: float | None = JETSON_LAG_S if device.transport != "local" else 0.0
    if sensor == "none":
        lag_s = None if device.meter is None else 0.0
    period_s = None if device.meter is None else FAST_METER_S
    return expected_time(plan.procedure, _runnable(plan, cases), lag_s, period_s)


def _markers(device: DeviceSettings) -> str:
    """Say what of the time load markers take."""
    if device.meter is None:
        return ""
    slow_s = markers_s(1.0) - markers_s(FAST_METER_S)
    return (
        f" ({markers_s(FAST_METER_S):.0f} s of it load markers, once per power mode; for a meter "
        f"of 1 Hz {slow_s:.0f} s more)"
    )


def _runnable(plan: Plan, cases: list[Case]) -> list[Case]:
    return [case for case in cases if refusal(plan, case) is None]


def _table(plan: Plan, device: str, cases: list[Case]) -> Table:
    table = Table("device", "case", "runs", title_justify="left")
    for case in cases:
        reason = refusal(plan, case)
        table.add_row(device, case.key, "yes" if reason is None else f"skipped: {reason}")
    return table


def _words(time: ExpectedTime) -> str:
    text = f"about {_span(time.least_s)}"
    if time.longest_s > 1.1 * time.least_s:
        return f"{text}, up to {_span(time.longest_s)} if the rounds vary"
    return text


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _document(
    plan: Plan,
    cases: dict[str, list[Case]],
    times: dict[str, ExpectedTime],
    warnings: list[str],
) -> dict[str, Any]:
    return {
        "procedure": plan.procedure.model_dump(mode="json"),
        "devices": {
            name: {
                "expected_s": times[name].least_s,
                "longest_s": times[name].longest_s,
                "cases": [
                    {"key": case.key, **case.model_dump(), "problem": refusal(plan, case)}
                    for case in of_device
                ],
            }
            for name, of_device in cases.items()
        },
        "warnings": warnings,
    }
