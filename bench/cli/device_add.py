"""``bench devices add``, ``trust``, ``remove``, ``provision``: a board's way into use."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from bench.cli import options
from bench.cli.output import emit_json, people, tables
from bench.config.device_settings import LocalDevice
from bench.config.devices_file import BUILT_IN, device_name, find_device, load_devices
from bench.errors import ConfigError, HostKeyError
from bench.export.cache import default_cache
from bench.onboarding.adding import (
    Surveyed,
    device_at,
    energy_text,
    entry_of,
    free_name,
    same_place,
    summary,
    survey,
)
from bench.onboarding.entry import add_entry, file_to_write, remove_entry, require_new
from bench.onboarding.provisioning import Provisioned, unprovision
from bench.onboarding.provisioning import provision as provision_device
from bench.onboarding.trust import connect_asking, replace_key

_accept = click.option(
    "--accept-key",
    "accepted",
    metavar="SHA256:…",
    multiple=True,
    help="Trust the host key with this fingerprint without asking (repeatable: jump hosts).",
)


@click.command()
@click.argument("address", metavar="[USER@]HOST[:PORT]")
@click.option("--name", help="What to call it (default: after what it is).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of its ssh server.")
@click.option(
    "--identity",
    "identity_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Private key file to log in with.",
)
@click.option("--python", help="Its Python (default: the first that will do).")
@click.option("--again", is_flag=True, help="Also if this host and port have a name already.")
@_accept
@options.devices_file
@options.as_json
def add(
    address: str,
    name: str | None,
    port: int | None,
    identity_file: Path | None,
    python: str | None,
    again: bool,
    accepted: tuple[str, ...],
    devices_path: Path | None,
    as_json: bool,
) -> None:
    """Log in to a board, look at it, and write it into devices.yaml.

    Shows the board's host key and asks, unless it is known already.
    """
    path = file_to_write(devices_path)
    known = load_devices(path) if path.exists() else dict(BUILT_IN)
    device = device_at(address, port=port, identity_file=identity_file, python=python)
    if name is not None:
        name = device_name(path, name)
        require_new(path, name)
    twin = same_place(known, device)
    if twin is not None and not again:
        raise ConfigError(
            f"{path}: {twin} is at this host and port already; to add it once more: --again"
        )
    transport = connect_asking(device, _asker(accepted))
    people().print(f"{address}: logged in; asking what it is", markup=False)
    try:
        found = survey(device, transport)
    finally:
        transport.close()
    name = name or free_name(found, known)
    add_entry(path, name, entry_of(found.settings), summary(found))
    if as_json:
        emit_json(_document(name, path, found))
    else:
        _show(name, path, found)


@click.command()
@click.argument("name")
@click.option("--replace", is_flag=True, help="Also in the place of another key, after asking.")
@_accept
@options.devices_file
def trust(name: str, replace: bool, accepted: tuple[str, ...], devices_path: Path | None) -> None:
    """Show a device's host key and, after a yes, trust it from now on."""
    device = find_device(load_devices(devices_path), name)
    if isinstance(device, LocalDevice):
        raise ConfigError(f"{name} is this machine; it has no host key")
    agree = _asker(accepted)
    try:
        connect_asking(device, agree).close()
    except HostKeyError as changed:
        if not replace:
            raise ConfigError(
                f"{changed}; or do both with `{_command('trust', name)} --replace`"
            ) from changed
        agree(changed)
        for kept in replace_key(changed):
            people().print(f"as it was before: {kept}", markup=False)
        connect_asking(device, agree).close()
    people().print(f"{name}: its host key is trusted, and the login works", markup=False)


@click.command()
@click.argument("name")
@options.devices_file
def remove(name: str, devices_path: Path | None) -> None:
    """Take a device out of devices.yaml; what is on the board stays, and so do others' comments."""
    path = file_to_write(devices_path)
    remove_entry(path, name)
    people().print(f"{path}: {name} is taken out", markup=False)


@click.command()
@click.argument("name")
@click.option(
    "--package", "wanted", metavar="NAME==VERSION", multiple=True, help="Another version."
)
@click.option("--remove", "remove_it", is_flag=True, help="Remove what was provided instead.")
@options.devices_file
@options.as_json
def provision(
    name: str,
    wanted: tuple[str, ...],
    remove_it: bool,
    devices_path: Path | None,
    as_json: bool,
) -> None:
    """Bring numpy and ONNX Runtime to a board that lacks them.

    Wheels are fetched by this machine and unpacked in the board's work folder: it needs no
    internet, no root and no pip, and nothing else there changes.
    """
    device = find_device(load_devices(devices_path), name)
    console = people()
    if remove_it:
        removed = unprovision(name, device)
        if as_json:
            emit_json({"removed": removed})
        else:
            said = f"removed {removed}" if removed else "nothing was provided there"
            console.print(f"{name}: {said}", markup=False)
        return

    def tell(text: str) -> None:
        console.print(f"{name}: {text}", markup=False, soft_wrap=True)

    done = provision_device(name, device, default_cache(), wanted, tell)
    if as_json:
        versions = dict(done.versions)
        emit_json({"folder": done.folder, "versions": versions, "changed": done.changed})
    else:
        console.print(f"{name}: {_provided(done)}", markup=False, soft_wrap=True)
        console.print(f"next: {shlex.join(['bench', 'run', '--device', name])}", markup=False)


def _asker(accepted: tuple[str, ...]) -> Callable[[HostKeyError], None]:
    """Return what decides about host keys: the options, else the person at the terminal."""
    wanted = {"SHA256:" + text.removeprefix("SHA256:").rstrip("=") for text in accepted}

    def agree(refused: HostKeyError) -> None:
        shown = f"{refused.address} shows the {refused.kind} host key {refused.fingerprint}"
        if refused.fingerprint in wanted:
            return
        if wanted:
            raise ConfigError(f"{shown}, which is not the one of --accept-key; nothing is trusted")
        own = refused.kind.removeprefix("ssh-").split("-")[0]
        compare = f"compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{own}_key.pub` on the board"
        if not sys.stdin.isatty():
            raise ConfigError(f"{shown}; {compare}, then add --accept-key {refused.fingerprint}")
        people().print(f"{shown}\n{compare}", markup=False, soft_wrap=True)
        if not click.confirm("trust it?", err=True):
            raise ConfigError(f"{refused.address}: its host key is not trusted; nothing is changed")

    return agree


def _show(name: str, path: Path, found: Surveyed) -> None:
    facts = found.facts
    rows = {
        "board": f"{found.board.title}: {facts['board']['model'] or 'no device tree'}",
        "system": f"{facts['os']['pretty_name'] or 'unknown'} · {facts['os']['machine']}",
        "python": f"{facts['python']['version']} ({facts['python']['executable']})",
        "runtimes": ", ".join(found.usable) or "none yet",
        "energy": energy_text(found),
        "written to": str(path),
    }
    table = Table(show_header=False, box=None)
    for key, text in rows.items():
        table.add_row(Text(key), Text(text))
    tables().print(table)
    if found.power is not None and found.power.note:
        people().print(found.power.note, markup=False)
    people().print(f"next: {_next(name, found)}", markup=False, soft_wrap=True)


def _next(name: str, found: Surveyed) -> str:
    if found.usable:
        return shlex.join(["bench", "run", "--device", name])
    return _command("provision", name)


def _command(*words: str) -> str:
    return shlex.join(["bench", "devices", *words])


def _provided(done: Provisioned) -> str:
    listed = ", ".join(f"{name} {version}" for name, version in done.versions.items())
    if done.folder is None:
        return f"has {listed} of its own; nothing to do"
    return f"{listed} {'now' if done.changed else 'already'} in {done.folder}"


def _document(name: str, path: Path, found: Surveyed) -> dict[str, Any]:
    return {
        "name": name,
        "file": str(path),
        "entry": entry_of(found.settings),
        "recognised": found.board.name,
        "power": None if found.power is None else found.power.model_dump(mode="json"),
        "note": found.verdict.detail,
        "runtimes": dict(found.runtimes),
        "next": _next(name, found),
    }
