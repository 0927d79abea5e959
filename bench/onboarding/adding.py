"""What has to be known of a board before it can stand in devices.yaml."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.board_runtimes import runtime_problem
from bench.boards import recognise_probed
from bench.boards.spec import Board
from bench.config.device_settings import DeviceSettings, SshDevice
from bench.device.ssh_config import parse_address, way_to
from bench.device.transport import Transport
from bench.errors import AgentError, ConfigError, DeviceError
from bench.fleet.connection import ssh_settings
from bench.fleet.contact import equip
from bench.power.choice import choose_power, sensor_options
from bench.records.power import PowerSource
from bench.records.status import Verdict
from bench.runtimes import runtimes

ASK_S = 60.0
DEFAULT_PYTHON = "python3"
_PYTHONS = (DEFAULT_PYTHON, *(f"python3.{minor}" for minor in range(14, 5, -1)), "python")

# $@: names of interpreters; prints the first that is new enough for the agent.
_FIND_PYTHON = """for name in "$@"; do
path=$(command -v "$name") || continue
if "$path" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then
printf '%s\\n' "$name"; exit 0; fi
done
exit 1"""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A board that was asked what it is.

    ``power`` is where energy will come from (``verdict`` says why, or why there is none),
    ``runtimes`` the problem of each runtime by name, ``None`` for those that work.
    """

    settings: SshDevice
    facts: Mapping[str, Any]
    board: Board
    power: PowerSource | None
    verdict: Verdict
    runtimes: Mapping[str, str | None]

    @property
    def usable(self) -> tuple[str, ...]:
        """Names of the runtimes that work."""
        return tuple(name for name, problem in self.runtimes.items() if problem is None)


def device_at(
    address: str, *, port: int | None, identity_file: Path | None, python: str | None
) -> SshDevice:
    """Return the settings of a board at ``[user@]host[:port]``.

    Raises:
        ConfigError: that is no address, or it has another port than the one given.
    """
    try:
        host, user, own_port = parse_address(address)
        if host.startswith("-"):
            raise ValueError
    except ValueError:
        raise ConfigError(f"{address!r} is no address; write user@host or user@host:port") from None
    if port is not None and own_port not in (None, port):
        raise ConfigError(f"{address} and --port {port} name two ports; give one")
    if identity_file is not None and not identity_file.expanduser().is_file():
        raise ConfigError(f"--identity {identity_file}: there is no such file")
    given: dict[str, Any] = {"port": port or own_port, "user": user, "python": python}
    if identity_file is not None:
        given["identity_file"] = identity_file.expanduser().absolute()
    known = {key: value for key, value in given.items() if value is not None}
    try:
        return SshDevice.model_validate({"transport": "ssh", "host": host, **known})
    except ValueError:
        raise ConfigError(f"{address!r} is no address; write user@host or user@host:port") from None


def same_place(devices: Mapping[str, DeviceSettings], device: SshDevice) -> str | None:
    """Return which of the devices is reached at the same host and port, on the same way."""
    wanted = way_to(ssh_settings(device))
    for name, other in devices.items():
        if isinstance(other, SshDevice) and way_to(ssh_settings(other)) == wanted:
            return name
    return None


def survey(device: SshDevice, transport: Transport) -> Surveyed:
    """Ask a board that is connected what it is; finds its Python unless one is named.

    Raises:
        DeviceError: it is no Linux, has no Python for the agent, or cannot be written to.
    """
    require_linux(device.host, transport)
    if "python" not in device.model_fields_set:
        device = device.model_copy(update={"python": find_python(device.host, transport)})
    board_contact = equip(device.host, device, transport)
    try:
        facts = board_contact.client.probe(device.root, sensor_options(device.power))
    except AgentError as error:
        raise AgentError(f"{device.host}: {error}", detail=error.detail) from error
    board = recognise_probed(facts)
    power, verdict = choose_power(board, facts["sensors"], device.power, estimates=True)
    problems = {name: runtime_problem(name, facts, device.host) for name in runtimes()}
    return Surveyed(device, facts, board, power, verdict, problems)


def require_linux(host: str, transport: Transport) -> None:
    """Raise DeviceError if a board says that it runs something else than Linux."""
    done = transport.run(["uname", "-s"], timeout_s=ASK_S, repeatable=True)
    system = done.stdout.decode("utf-8", "replace").strip()
    if done.status == 0 and system != "Linux":
        raise DeviceError(f"{host} runs {system}; bench measures on Linux boards only")


def find_python(host: str, transport: Transport) -> str:
    """Return the name of the first Python on a board that can run the agent.

    Raises:
        DeviceError: there is none.
    """
    argv = ["sh", "-c", _FIND_PYTHON, "sh", *_PYTHONS]
    done = transport.run(argv, timeout_s=ASK_S, repeatable=True)
    name = done.stdout.decode("utf-8", "replace").strip()
    if done.status != 0 or name not in _PYTHONS:
        raise DeviceError(
            f"{host} has no Python 3.6 or newer on the PATH of this login; install one there "
            "(`sudo apt-get install python3`), or name one with --python PATH"
        )
    return name


def free_name(found: Surveyed, taken: Iterable[str]) -> str:
    """Return a name for a board: its family's, or for any other machine that of its host."""
    stem = found.board.name if found.board.compatible else _host_name(found.settings.host)
    names, number, name = set(taken), 1, stem
    while name in names:
        number += 1
        name = f"{stem}-{number}"
    return name


def entry_of(device: SshDevice) -> dict[str, Any]:
    """Return what devices.yaml is to say of a board: nothing that is the default anyway."""
    settings = device.model_dump(mode="json", exclude_defaults=True)
    entry = {"transport": "ssh", "host": device.host, **settings}
    if device.identity_file is not None:
        entry["identity_file"] = _below_home(device.identity_file)
    return entry


def summary(found: Surveyed) -> str:
    """Return in one line what a board is and where its energy comes from."""
    model = found.facts["board"]["model"] or found.facts["os"]["pretty_name"] or "Linux"
    return f"{found.board.title}: {model}; energy: {energy_text(found)}"


def energy_text(found: Surveyed) -> str:
    """Return where energy comes from, or why there is none."""
    if found.power is None:
        return f"none ({found.verdict.detail})"
    total = " + ".join(found.power.total)
    return f"{found.power.sensor} {total} ({found.power.scope}, {found.power.source})"


def _host_name(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = host.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9]+", "-", host).strip("-").lower() or "board"


def _below_home(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)
