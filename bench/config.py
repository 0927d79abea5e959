"""devices.yaml → validated device settings.

Every problem becomes one :class:`bench.errors.ConfigError` line that names the file, the device,
the key and the fix. Keys that are not known are refused, since a misspelt key that is silently
ignored measures something else than its owner believes.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bench.device.labgrid.address import coordinator_address, tag_text
from bench.errors import ConfigError, suggest
from bench.field_problems import in_words
from bench.figures import PowerCalibration
from bench.meters import meters
from bench.meters.meter import MeterOptions
from bench.sensors import require_sensor, sensors
from bench.yaml_file import read_yaml, shown

DEFAULT_FILE = Path("devices.yaml")
DEFAULT_WORK_DIR = ".cache/bench-agent"
DEFAULT_LOCK = "/run/lock/bench-agent.lock"


class Settings(BaseModel):
    """Base of what users write: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EstimateModel(Settings):
    """A stated power model for boards without a sensor: P = idle + (busy - idle) · CPU use."""

    idle_w: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    busy_w: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _busy_is_more(self) -> EstimateModel:
        if self.busy_w < self.idle_w:
            raise ValueError("busy_w must not be below idle_w")
        return self


def _below_home(path: str) -> str:
    """Paths on a board start in the login's home, where no shell is left to expand a ``~``."""
    return path.removeprefix("~/")


# A line break in a name would smuggle further lines into the ssh configuration.
_PRINTABLE = r"^[^\x00-\x20\x7f]+$"
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]+$"
BoardPath = Annotated[str, Field(min_length=1, pattern=_NO_CONTROLS), AfterValidator(_below_home)]


class ReplayFile(Settings):
    """A recorded power trace on the board that stands in for a sensor."""

    path: BoardPath
    scope: str = "replayed"
    loop: bool = False


def _words(value: Any) -> Any:
    """A command line as one string is split as a shell would; nothing else is expanded."""
    return shlex.split(value) if isinstance(value, str) else value


class MeterCommand(Settings):
    """A program on the board that prints lines ``unix_time watts``; ``scope``: what it covers."""

    run: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_words)]
    scope: Annotated[str, Field(min_length=1)]


OWN_WORDS = "own_words"
"""Type of a problem whose message says it all."""


def _refuse(text: str) -> NoReturn:
    """Refuse settings with words that say what to do, and need no value beside them."""
    raise PydanticCustomError(OWN_WORDS, "{text}", {"text": text}) from None


def _known_sensor(name: str) -> str:
    try:
        return require_sensor(name)
    except ConfigError as error:
        _refuse(str(error))


class PowerSettings(Settings):
    """Where a device's power figures come from.

    ``sensor``: a sensor's name, ``auto`` (the best one found on the board) or ``none``.
    ``total``: channels whose sum is the total, when the board's own rule does not fit.
    ``period_s``: time between two readings. ``options``: what a plug-in's sensor is told.
    ``calibration``: what corrects the sensor (``bench devices calibrate``).
    """

    sensor: Annotated[str, AfterValidator(_known_sensor)] = "auto"
    total: tuple[str, ...] | None = None
    scope: str | None = None
    period_s: Annotated[float, Field(gt=0, le=10)] = 0.005
    estimate: EstimateModel | None = None
    replay: ReplayFile | None = None
    command: MeterCommand | None = None
    options: dict[str, JsonValue] | None = None
    calibration: PowerCalibration | None = None

    @property
    def is_named(self) -> bool:
        """Whether one sensor, or the rails of a total, are meant and no others."""
        return self.sensor != "none" and (self.sensor != "auto" or self.total is not None)

    @property
    def lacks(self) -> str:
        """What the sensor that is named needs and does not have, in words; empty if nothing."""
        needing = ("command", "replay", "estimate")
        if self.sensor not in needing or getattr(self, self.sensor) is not None:
            return ""
        return (
            f"the power sensor {self.sensor!r} needs power.{self.sensor} in devices.yaml; add it, "
            "or name another sensor"
        )

    @model_validator(mode="after")
    def _has_what_its_sensor_needs(self) -> PowerSettings:
        if self.lacks:
            _refuse(self.lacks)
        return self

    @model_validator(mode="after")
    def _options_of_a_plugin(self) -> PowerSettings:
        if self.options is not None and self.sensor not in sensors().plugins:
            _refuse("power.options are for the sensor of a plug-in, named as power.sensor")
        return self


class MeterSettings(Settings):
    """An external power meter that this host reads while the device measures.

    ``scope``: what it measures ("board input", "wall"). ``reading``: whether a reading is the mean
    over the meter's period or the power of an instant; ``auto`` lets the load markers tell.
    ``gain_error``: of its data sheet, relative. ``command``, ``serial``, ``voltage_v``: see
    :class:`bench.meters.meter.MeterOptions`.
    """

    kind: Annotated[str, Field(min_length=1)]
    scope: Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_CONTROLS)]
    reading: Literal["auto", "mean", "instant"] = "auto"
    gain_error: Annotated[float, Field(ge=0, lt=1)] | None = None
    command: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_words)] | None = None
    serial: Annotated[str, Field(min_length=1, pattern=_NO_CONTROLS)] | None = None
    voltage_v: Annotated[float, Field(gt=0, le=1000)] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> MeterSettings:
        try:
            module = meters().find(self.kind)
        except ConfigError as error:
            _refuse(str(error))
        needs, takes = module.NEEDS, module.TAKES
        for name in MeterOptions.__dataclass_fields__:
            is_given = getattr(self, name) is not None
            if name in needs and not is_given:
                _refuse(f"a meter of kind {self.kind} needs {name!r}; add it")
            if is_given and name not in (*needs, *takes):
                _refuse(f"a meter of kind {self.kind} has no {name!r}; remove it")
        return self

    @property
    def options(self) -> MeterOptions:
        """What the meter itself is told."""
        return MeterOptions(command=self.command, serial=self.serial, voltage_v=self.voltage_v)


KEY_ITSELF = "key_itself"


def _expanded(path: Path, info: ValidationInfo) -> Path:
    """Relative paths start in the folder of the file that names them."""
    if "PRIVATE KEY" in str(path):
        # Such a message must not repeat what it is about.
        raise PydanticCustomError(
            KEY_ITSELF, "that is a private key; give the path of the file that holds it"
        )
    if not str(path).isprintable():
        raise ValueError("a path has no line breaks or control characters")
    try:
        return (info.context or Path()) / path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


HostPath = Annotated[Path, AfterValidator(_expanded)]


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]


class HangRemedy(Settings):
    """What is done about a board that hangs.

    ``command``: a program on this host that power-cycles the board, with its arguments; a text is
    split into words as a shell would, and no shell runs. ``switch``: instead, the power switch of
    the device's labgrid place. ``after_s``: for how long ssh has to be
    unreachable first. ``boot_s``: how long the board may then take until ssh answers.
    ``timeout_s``: how long the command may take. ``times``: how often at most in one run.
    """

    command: Annotated[tuple[str, ...] | None, Field(min_length=1), BeforeValidator(_words)] = None
    switch: Literal["labgrid"] | None = None
    after_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    boot_s: Annotated[float, Field(gt=0, le=86400)] = 180.0
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    times: Annotated[int, Field(ge=1, le=100)] = 2

    @model_validator(mode="after")
    def _one_way(self) -> HangRemedy:
        if (self.command is None) == (self.switch is None):
            text = "on_hang takes a command or `switch: labgrid`, one of the two"
            raise PydanticCustomError(OWN_WORDS, "{text}", {"text": text})
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
    root: Annotated[str, Field(min_length=1, pattern=_NO_CONTROLS)] = "/"
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
            text = "on_hang is for boards: this machine would switch itself off"
            raise PydanticCustomError(OWN_WORDS, "{text}", {"text": text})
        return self


class _Remote(_Device):
    """A board over SSH. What is not given here comes from ``~/.ssh/config``."""

    user: Annotated[str, Field(min_length=1, pattern=_PRINTABLE)] | None = None
    identity_file: HostPath | None = None
    known_hosts: HostPath | None = None
    python: BoardPath = "python3"
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0


class SshDevice(_Remote):
    """A board at an address."""

    transport: Literal["ssh"]
    host: Annotated[str, Field(min_length=1, pattern=_PRINTABLE)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return self.host

    @model_validator(mode="after")
    def _has_no_place(self) -> SshDevice:
        if self.on_hang is not None and self.on_hang.switch is not None:
            text = "on_hang: labgrid is for devices of transport labgrid; name a command here"
            raise PydanticCustomError(OWN_WORDS, "{text}", {"text": text})
        return self


PlaceTag = Annotated[str, Field(min_length=1, pattern=_PRINTABLE), BeforeValidator(tag_text)]


class LabgridDevice(_Remote):
    """A board that is a place of a labgrid coordinator, or any place with the tags of
    ``reservation``; its NetworkService has the address (docs/labgrid.md).

    ``coordinator``: HOST:PORT, else that of ``LG_COORDINATOR``. ``service``: which NetworkService,
    where the place has several. ``wait_s``: how long a reservation is waited for.
    """

    transport: Literal["labgrid"]
    place: Annotated[str, Field(min_length=1, pattern=_PRINTABLE)] | None = None
    reservation: Annotated[dict[PlaceTag, PlaceTag], Field(min_length=1)] | None = None
    coordinator: Annotated[str, AfterValidator(coordinator_address)] | None = None
    service: Annotated[str, Field(min_length=1, pattern=_NO_CONTROLS)] | None = None
    wait_s: Annotated[float, Field(ge=0, le=86400)] = 600.0

    @property
    def where(self) -> str:
        """Where it is, for people."""
        tags = (f"{key}={tag}" for key, tag in (self.reservation or {}).items())
        return f"place {self.place}" if self.place else f"any place with {' '.join(tags)}"

    @model_validator(mode="after")
    def _one_of_both(self) -> LabgridDevice:
        if (self.place is None) == (self.reservation is None):
            text = "name a 'place', or a 'reservation' with its tags, and not both"
            raise PydanticCustomError(OWN_WORDS, "{text}", {"text": text})
        return self


AnyDevice = LocalDevice | SshDevice | LabgridDevice
_DEVICE: TypeAdapter[AnyDevice] = TypeAdapter(
    Annotated[AnyDevice, Field(discriminator="transport")]
)

BUILT_IN: dict[str, AnyDevice] = {
    "local": LocalDevice(
        transport="local", power=PowerSettings(estimate=EstimateModel(idle_w=10, busy_w=30))
    )
}


_SMALLEST = "`devices: {local: {transport: local}}`"


def devices_file(explicit: Path | None) -> Path | None:
    """Return the devices file to read, or ``None`` when there is none and only ``local`` exists.

    Order: the one given, the environment's ``BENCH_DEVICES``, ``devices.yaml`` in this folder.

    Raises:
        ConfigError: the file that was asked for does not exist.
    """
    named = explicit or (Path(text) if (text := os.environ.get("BENCH_DEVICES")) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(
                f"{named}: no such devices file; name another one (--devices or "
                f"BENCH_DEVICES), or write it: {_SMALLEST}"
            )
        return named
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def load_devices(explicit: Path | None = None) -> dict[str, AnyDevice]:
    """Read the devices by name, in the file's order.

    Raises:
        ConfigError: the file is missing, malformed, or has a key or value that is not allowed.
    """
    path = devices_file(explicit)
    if path is None:
        return dict(BUILT_IN)
    document = read_yaml(path)
    if document is None:
        raise ConfigError(f"{path}: is empty; the least that it can hold is {_SMALLEST}")
    if not isinstance(document, dict) or set(document) != {"devices"}:
        raise ConfigError(f"{path}: the file must have one top-level key, 'devices'")
    entries = document["devices"]
    if not isinstance(entries, dict) or not entries:
        raise ConfigError(f"{path}: 'devices' must map names to settings; the least is {_SMALLEST}")
    devices: dict[str, AnyDevice] = {}
    for name, entry in entries.items():
        text = device_name(path, name)
        if text in devices:
            raise ConfigError(f"{path}: there are two devices {text!r}; give one another name")
        devices[text] = _device(path, text, entry)
    return devices


def find_device(devices: dict[str, AnyDevice], name: str) -> AnyDevice:
    """Return a device by name.

    Raises:
        ConfigError: no such device; the message offers near matches.
    """
    try:
        return devices[name]
    except KeyError:
        raise ConfigError(
            f"unknown device {name!r}; {suggest(name, devices)} (`bench devices add` takes a new "
            "one in)"
        ) from None


def device_name(path: Path, name: Any) -> str:
    """Return a name as text; it ends up in file names, on terminals and after ``--device``.

    Raises:
        ConfigError: it is none; ``path`` is the file to name.
    """
    text = str(name) if type(name) in (str, int) else ""
    if not text.strip() or not text.isprintable() or "," in text or len(text) > 100:
        raise ConfigError(
            f"{path}: {shown(name)} is no name for a device; use letters, digits and hyphens"
        )
    return text


def _device(path: Path, name: str, entry: Any) -> AnyDevice:
    if not isinstance(entry, dict):
        raise ConfigError(
            f"{path}: device {name!r}: must be a mapping with 'transport: ssh|local|labgrid'"
        )
    if "transport" not in entry:
        raise ConfigError(f"{path}: device {name!r}: add 'transport: ssh', 'local' or 'labgrid'")
    try:
        return _DEVICE.validate_python(entry, strict=False, context=path.parent)
    except ValidationError as error:
        raise ConfigError(f"{path}: device {name!r}: {_first_problem(error, entry)}") from None


def _first_problem(error: ValidationError, entry: dict[str, Any]) -> str:
    # A misspelt key also makes its right spelling missing: name what was written, first.
    problem = min(
        error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden"
    )
    # The union's discriminator stands first in the location; its owner never wrote it as a key.
    steps = [str(step)[:60] for step in problem["loc"]]
    if steps and steps[0] == entry.get("transport"):
        steps = steps[1:]
    key = ".".join(steps)
    if problem["type"] == "extra_forbidden":
        if steps[-1] in {"password", "passphrase"}:
            return f"key {key!r}: secrets are not kept in this file; use an SSH key or an agent"
        return f"unknown key {key!r}; {suggest(steps[-1], _known_keys(steps[:-1], entry))}"
    if problem["type"] == "missing":
        return f"key {key!r} is missing; add it"
    if problem["type"] == "union_tag_invalid":
        said = shown(entry.get("transport"))
        return f"transport {said} is not known; use 'ssh', 'local' or 'labgrid'"
    if problem["type"] in (KEY_ITSELF, OWN_WORDS):
        return f"key {key!r}: {problem['msg']}" if key else problem["msg"]
    return f"key {key!r}: {in_words(problem)}"


def _known_keys(parents: list[str], entry: dict[str, Any]) -> list[str]:
    transports = {"ssh": SshDevice, "labgrid": LabgridDevice}
    model: Any = transports.get(str(entry.get("transport")), LocalDevice)
    nested = {
        "power": PowerSettings,
        "estimate": EstimateModel,
        "replay": ReplayFile,
        "command": MeterCommand,
        "calibration": PowerCalibration,
        "meter": MeterSettings,
        "on_hang": HangRemedy,
    }
    if parents:
        model = nested.get(parents[-1], model)
    return list(model.model_fields)
