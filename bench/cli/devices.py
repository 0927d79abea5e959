"""``bench devices``: what devices.yaml holds, and what a board says of itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from bench.boards import recognise_probed
from bench.boards.jetpack import jetpack
from bench.boards.spec import Board
from bench.cli import device_add, device_calibrate, doctor, options
from bench.cli.board_rows import board_rows, power_rows, sensor_row
from bench.cli.output import emit_json, people, tables
from bench.config.devices_file import find_device, load_devices
from bench.errors import AgentError
from bench.fleet.upkeep import clean_device, probe_device, restore_device
from bench.power.choice import choose_power


@click.group()
def devices() -> None:
    """Add devices, list them, and ask them what they are."""


for command in (
    device_add.add,
    device_add.trust,
    device_add.provision,
    doctor.doctor,
    device_calibrate.calibrate,
    device_add.remove,
):
    devices.add_command(command)


@devices.command("list")
@options.devices_file
@options.as_json
def list_devices(devices_path: Path | None, as_json: bool) -> None:
    """List the devices of devices.yaml (no device is contacted)."""
    known = load_devices(devices_path)
    if as_json:
        emit_json({name: device.model_dump(mode="json") for name, device in known.items()})
        return
    table = Table("device", "transport", "host", "power", "meter")
    for name, device in known.items():
        meter = "—" if device.meter is None else device.meter.kind
        cells = (name, device.transport, device.where, device.power.sensor, meter)
        table.add_row(*map(Text, cells))
    tables().print(table)


@devices.command()
@click.argument("name")
@options.devices_file
@options.as_json
def probe(name: str, devices_path: Path | None, as_json: bool) -> None:
    """Connect to a device and show its board, runtimes, sensors, clocks and memory."""
    device = find_device(load_devices(devices_path), name)
    with _about(name):
        facts = probe_device(name, device)
    board = recognise_probed(facts)
    power, verdict = choose_power(board, facts["sensors"], device.power, estimates=True)
    if as_json:
        chosen = None if power is None else power.model_dump(mode="json")
        known = {**asdict(board), "jetpack": _jetpack(facts["os"]["l4t"])}
        found = {"recognised": board.name, "known": known}
        emit_json({**facts, **found, "power": chosen, "note": verdict.detail})
        return
    table = Table(show_header=False, box=None)
    rows = _rows(facts, board)
    rows += power_rows(power) if power else [("energy from", f"nothing: {verdict.detail}")]
    for key, text in rows:
        table.add_row(Text(key), Text(text))
    tables().print(table)
    if power is not None and power.note:
        people().print(power.note, markup=False)
    if facts["lock"]["problem"] is not None:
        people().print(facts["lock"]["problem"], markup=False)
    _tell_restored(facts["state"])


@devices.command()
@click.argument("name")
@options.devices_file
@options.as_json
def restore(name: str, devices_path: Path | None, as_json: bool) -> None:
    """Put back power mode, clocks and governor that a job which died left behind.

    Any other command that talks to the device does this as well.
    """
    device = find_device(load_devices(devices_path), name)
    with _about(name):
        restored = restore_device(name, device)
    if as_json:
        emit_json({"restored": restored})
    elif restored is None:
        people().print(f"{name}: nothing to restore", markup=False)
    else:
        people().print(
            f"{name}: restored to what it was before job {restored['job_id']}: "
            f"{_state_text(restored)}",
            markup=False,
        )


@devices.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@options.devices_file
@options.as_json
def clean(name: str, yes: bool, devices_path: Path | None, as_json: bool) -> None:
    """Free a device of old agents, models and collected jobs.

    What was measured there and is not collected yet is kept. Nothing is removed without --yes, or
    a yes at the terminal.
    """
    device = find_device(load_devices(devices_path), name)
    with _about(name):
        found = clean_device(name, device, apply=yes and as_json)
    if as_json:
        emit_json({**found, "removed": yes})
        return
    _show_removable(name, found)
    removable = found["removable"]
    if removable and not yes and sys.stdin.isatty():
        yes = click.confirm("remove this?", err=True)
    if removable and yes:
        with _about(name):
            removed = clean_device(name, device, apply=True)["removable"]
        size = sum(item["bytes"] for item in removed)
        people().print(f"{name}: removed {len(removed)}, {_mib(size)} freed", markup=False)
    elif removable:
        people().print(f"{name}: nothing removed; --yes removes it", markup=False)


def _jetpack(l4t: str | None) -> dict[str, Any] | None:
    line = jetpack(l4t)
    return None if line is None else asdict(line)


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Name the device in what its agent did wrong."""
    try:
        yield
    except AgentError as error:
        raise AgentError(f"{name}: {error}", detail=error.detail) from error


def _show_removable(name: str, found: dict[str, Any]) -> None:
    """Show what can be removed, and say what is kept and why."""
    table = Table("what", "path", "size")
    table.columns[2].justify = "right"
    for item in found["removable"]:
        table.add_row(*map(Text, (item["what"], item["path"], _mib(item["bytes"]))))
    if found["removable"]:
        tables().print(table)
    else:
        people().print(f"{name}: nothing to remove", markup=False)
    for kept in found["kept"]:
        people().print(f"{name}: job {kept['job_id']} is kept: {kept['why']}", markup=False)


def _tell_restored(state: dict[str, Any]) -> None:
    """Say whether a dead job had left the board in another state."""
    if state["problem"]:
        people().print(state["problem"], markup=False)
    elif state["restored"]:
        job_id = state["restored"]["job_id"]
        people().print(
            f"job {job_id} had died; restored: {_state_text(state['restored'])}", markup=False
        )


def _state_text(state: dict[str, Any]) -> str:
    """Say what a board's power mode, clock limits and governor are."""
    lowest, highest = state["frequency_min_khz"], state["frequency_max_khz"]
    parts = [f"power mode {state['power_mode']}"] if state["power_mode"] else []
    if lowest and highest:
        span = f"{min(lowest.values()) / 1e3:.0f}–{max(highest.values()) / 1e3:.0f}"
        parts.append(f"CPU clock {span} MHz")
    if state["governor"]:
        parts.append("governor " + ", ".join(sorted(set(state["governor"].values()))))
    return "; ".join(parts)


def _mib(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "unknown"
    size = size_bytes / 2**20
    return f"{size:.0f} MiB" if size >= 10 else f"{size:.2g} MiB"


def _power_mode(state: dict[str, Any]) -> str:
    """Say which power mode a board is in and which others it has."""
    if not state["power_modes"]:
        return state["power_mode"] or "—"
    return f"{state['power_mode'] or 'unknown'} (of {', '.join(state['power_modes'].values())})"


def _package(package: dict[str, Any] | None) -> str:
    if package is None:
        return "not installed"
    if package["problem"]:
        # One that can be imported is not broken: it does not serve this runtime.
        broken = "" if package["version"] else "broken: "
        return f"{broken}{package['problem']}"
    return ", ".join([package["version"], *package.get("providers", ())])


def _rows(facts: dict[str, Any], board: Board) -> list[tuple[str, str]]:
    cpu, memory = facts["cpu"], facts["memory"]
    governors = sorted(set(cpu["governor"].values()))
    clocks = [value / 1e3 for value in cpu["frequency_khz"].values()]
    rows = [
        ("board", f"{facts['board']['model'] or 'no device tree'} ({board.title})"),
        (
            "system",
            f"{facts['os']['pretty_name'] or 'unknown'} · {facts['os']['machine']} · "
            f"kernel {facts['os']['kernel']}",
        ),
        *board_rows(board, facts["os"]["l4t"]),
        ("python", f"{facts['python']['version']} ({facts['python']['executable']})"),
    ]
    for name, package in {"numpy": facts["numpy"], **facts["runtimes"]}.items():
        rows.append((name, _package(package)))
    rows += [
        ("cpu", f"{cpu['count']} × {cpu['model'] or 'unknown'}"),
        ("governor", ", ".join(governors) or "—"),
        ("power mode", _power_mode(facts["state"])),
        ("clock", f"{min(clocks):.0f}–{max(clocks):.0f} MHz" if clocks else "—"),
        ("memory", f"{_mib(memory['available_bytes'])} of {_mib(memory['total_bytes'])} available"),
        ("disk", f"{facts['disk']['free_bytes'] / 2**30:.1f} GiB free"),
        (
            "temperature",
            ", ".join(f"{zone} {value:.0f} °C" for zone, value in facts["temperature_c"].items())
            or "—",
        ),
    ]
    return rows + [sensor_row(sensor, board) for sensor in facts["sensors"]]
