"""devices.yaml → validated device settings.

Every problem becomes one :class:`bench.errors.ConfigError` line that names the file, the device,
the key and the fix. Keys that are not known are refused, since a misspelt key that is silently
ignored measures something else than its owner believes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from bench.config.device_settings import (
    DeviceSettings,
    HangRemedy,
    LabgridDevice,
    LocalDevice,
    SshDevice,
)
from bench.config.field_problems import in_words
from bench.config.power_settings import (
    EstimateModel,
    MeterCommand,
    MeterSettings,
    PowerSettings,
    ReplayFile,
)
from bench.config.settings import KEY_ITSELF, OWN_WORDS
from bench.config.yaml_file import read_yaml, shown
from bench.errors import ConfigError, suggest
from bench.records.power import PowerCalibration

DEFAULT_FILE = Path("devices.yaml")

_DEVICE: TypeAdapter[DeviceSettings] = TypeAdapter(
    Annotated[DeviceSettings, Field(discriminator="transport")]
)

BUILT_IN: dict[str, DeviceSettings] = {
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


def load_devices(explicit: Path | None = None) -> dict[str, DeviceSettings]:
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
    devices: dict[str, DeviceSettings] = {}
    for name, entry in entries.items():
        text = device_name(path, name)
        if text in devices:
            raise ConfigError(f"{path}: there are two devices {text!r}; give one another name")
        devices[text] = _device(path, text, entry)
    return devices


def find_device(devices: dict[str, DeviceSettings], name: str) -> DeviceSettings:
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


def _device(path: Path, name: str, entry: Any) -> DeviceSettings:
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
