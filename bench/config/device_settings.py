"""Settings of a device: where it is, how it is reached, what is done when it hangs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bench.config.power_settings import MeterSettings, PowerSettings
from bench.config.settings import (
    NO_CONTROLS,
    PRINTABLE,
    BoardPath,
    HostPath,
    Settings,
    refuse,
    words,
)
from bench.device.labgrid.address import coordinator_address, tag_text, tag_words

DEFAULT_WORK_DIR = ".cache/bench-agent"
DEFAULT_LOCK = "/run/lock/bench-agent.lock"


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]


class HangRemedy(Settings):
    """What is done about a board that hangs.

    ``command``: a program on this host that power-cycles the board, with its arguments; a text is
    split into words as a shell would, and no shell runs. ``switch``: instead, the power switch of
    the device's labgrid place. ``after_s``: for how long ssh has to be unreachable first.
    ``boot_s``: how long the board may then take until ssh answers. ``timeout_s``: how long the
    command may take. ``times``: how often at most in one run.
    """

    command: Annotated[tuple[str, ...] | None, Field(min_length=1), BeforeValidator(words)] = None
    switch: Literal["labgrid"] | None = None
    after_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    boot_s: Annotated[float, Field(gt=0, le=86400)] = 180.0
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    times: Annotated[int, Field(ge=1, le=100)] = 2

    @model_validator(mode="after")
    def _one_way(self) -> HangRemedy:
        if (self.command is None) == (self.switch is None):
            refuse("on_hang takes a command or `switch: labgrid`, one of the two")
        return self


def _hang_remedy(value: Any) -> Any:
    """A command alone stands for a mapping that has nothing else, and so does ``labgrid``."""
    if value == "labgrid":
        return {"switch": "labgrid"}
    return {"command": value} if isinstance(value, str | list | tuple) else value


class _Device(Settings):
    """``lock``: the file on the board that whoever measures there holds, the same for all users;
    a relative one lies in ``work_dir``. ``retry_s``: how long a lost link is tried again.
    ``tags``: what ``--device tag:NAME`` picks it by. ``give_up_after``: failures in a row after
    which a run puts it aside."""

    tags: Annotated[tuple[Tag, ...], BeforeValidator(_one_or_more)] = ()
    give_up_after: Annotated[int, Field(ge=1, le=100)] = 2
    on_hang: Annotated[HangRemedy | None, BeforeValidator(_hang_remedy)] = None
    work_dir: BoardPath = DEFAULT_WORK_DIR
    lock: BoardPath = DEFAULT_LOCK
    retry_s: Annotated[float, Field(ge=0, le=86400)] = 120.0
    root: Annotated[str, Field(min_length=1, pattern=NO_CONTROLS)] = "/"
    threads: Annotated[int, Field(ge=1)] = 1
    power: PowerSettings = PowerSettings()
    meter: MeterSettings | None = None


class LocalDevice(_Device):
    """This machine, without SSH. ``python`` defaults to the interpreter that runs bench."""

    transport: Literal["local"]
    python: BoardPath | None = None

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return "this machine"

    @model_validator(mode="after")
    def _cycles_no_power(self) -> LocalDevice:
        if self.on_hang is not None:
            refuse("on_hang is for boards: this machine would switch itself off")
        return self


class _Remote(_Device):
    """A board over SSH. What is not given here comes from ``~/.ssh/config``."""

    user: Annotated[str, Field(min_length=1, pattern=PRINTABLE)] | None = None
    identity_file: HostPath | None = None
    known_hosts: HostPath | None = None
    python: BoardPath = "python3"
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0


class SshDevice(_Remote):
    """A board at an address."""

    transport: Literal["ssh"]
    host: Annotated[str, Field(min_length=1, pattern=PRINTABLE)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return self.host

    @model_validator(mode="after")
    def _has_no_place(self) -> SshDevice:
        if self.on_hang is not None and self.on_hang.switch is not None:
            refuse("on_hang: labgrid is for devices of transport labgrid; name a command here")
        return self


PlaceTag = Annotated[str, Field(min_length=1, pattern=PRINTABLE), BeforeValidator(tag_text)]


class LabgridDevice(_Remote):
    """A board that is a place of a labgrid coordinator, or any place with the tags of
    ``reservation``; its NetworkService has the address (docs/labgrid.md).

    ``coordinator``: HOST:PORT, else that of ``LG_COORDINATOR``. ``service``: which NetworkService,
    where the place has several. ``wait_s``: how long a reservation is waited for.
    """

    transport: Literal["labgrid"]
    place: Annotated[str, Field(min_length=1, pattern=PRINTABLE)] | None = None
    reservation: Annotated[dict[PlaceTag, PlaceTag], Field(min_length=1)] | None = None
    coordinator: Annotated[str, AfterValidator(coordinator_address)] | None = None
    service: Annotated[str, Field(min_length=1, pattern=NO_CONTROLS)] | None = None
    wait_s: Annotated[float, Field(ge=0, le=86400)] = 600.0

    @property
    def where(self) -> str:
        """Where it is, for people."""
        if self.place is not None:
            return f"place {self.place}"
        return f"any place with {' '.join(tag_words(self.reservation or {}))}"

    def at(self, place: str) -> LabgridDevice:
        """Return how that very place is reached: another one may fit a reservation too."""
        return self.model_copy(update={"place": place, "reservation": None})

    @model_validator(mode="after")
    def _one_of_both(self) -> LabgridDevice:
        if (self.place is None) == (self.reservation is None):
            refuse("name a 'place', or a 'reservation' with its tags, and not both")
        return self


DeviceSettings = LocalDevice | SshDevice | LabgridDevice
"""Any device, told apart by its transport."""


def stored_settings(devices: Mapping[str, DeviceSettings]) -> dict[str, dict[str, Any]]:
    """Return devices' settings as a run keeps them: of an ``on_hang`` command the program alone,
    since its arguments may be somebody's password for a power switch."""
    stored = {name: device.model_dump(mode="json") for name, device in devices.items()}
    for settings in stored.values():
        remedy = settings["on_hang"]
        if remedy is not None and remedy["command"] is not None:
            remedy["command"] = remedy["command"][:1]
    return stored
