"""Adds a device to devices.yaml, takes one out, calibrates its sensor; the rest stays as it was."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.config.device_settings import DeviceSettings
from bench.config.devices_file import (
    BUILT_IN,
    DEFAULT_FILE,
    devices_file,
    find_device,
    load_devices,
)
from bench.errors import ConfigError
from bench.records.power import PowerCalibration

INDENT = 2


def file_to_write(explicit: Path | None) -> Path:
    """Return the devices file that is in use, or where one is to be made.

    Raises:
        ConfigError: the file that was asked for does not exist.
    """
    return devices_file(explicit) or DEFAULT_FILE


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from changing a file between reading and replacing it."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with suppress(OSError):  # some network file systems lock nothing
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def add_entry(path: Path, name: str, entry: Mapping[str, Any], comment: str) -> None:
    """Put a device at the end of a file; comments and order of the others stay.

    A file that is not there is made, with this machine as its other device.

    Raises:
        ConfigError: the file is not in order, has a device of this name, or cannot be written.
    """
    with _alone(path):
        if not path.exists():
            local = BUILT_IN["local"].model_dump(mode="json", exclude_defaults=True)
            content = {"devices": {"local": {"transport": "local", **local}}}
            _write(path, _dumped(_round_trip(INDENT), content))
        require_new(path, name)
        before = _devices_of(path)
        text = _read(path)
        yaml = _round_trip(_indent_of(text))
        document = yaml.load(text)
        devices = document["devices"]
        added = CommentedMap(entry)
        devices[name] = added
        if not devices.fa.flow_style():
            added.fa.set_block_style()
            added.yaml_set_start_comment(comment, indent=2 * _indent_of(text))
        _write(path, _dumped(yaml, document), before)


def remove_entry(path: Path, name: str) -> None:
    """Take a device out of a file. Comments stay, but for those between and behind its own lines.

    Raises:
        ConfigError: it has no such device, or no other one, or another one refers to it.
    """
    with _alone(path):
        known = _devices_of(path)
        if name not in known:
            raise ConfigError(f"{path}: there is no device {name!r}; it has: {', '.join(known)}")
        if len(known) == 1:
            raise ConfigError(f"{path}: {name} is its only device; remove the file instead")
        del known[name]
        text = _read(path)
        devices = _value(YAML(pure=True).compose(text), "devices")
        assert isinstance(devices, MappingNode)
        if devices.flow_style:
            yaml = _round_trip(INDENT)
            document = yaml.load(text)
            del document["devices"][next(key for key in document["devices"] if str(key) == name)]
            _write(path, _dumped(yaml, document), known)
            return
        key, value = next(pair for pair in devices.value if pair[0].value == name)
        lines = text.splitlines(keepends=True)
        # Comments between its settings and behind them would say nothing without it.
        del lines[key.start_mark.line : _last_line(value) + 1]
        _write(path, "".join(lines), known)


def set_calibration(path: Path, name: str, calibration: PowerCalibration | None) -> None:
    """Put a calibration into a device's ``power``, in place of the one there, or take that out.

    Raises:
        ConfigError: the file has no such device or cannot be written, or something else would
            change with it (settings that devices share by an alias).
    """
    with _alone(path):
        wanted = _devices_of(path)
        device = find_device(wanted, name)
        power = device.power.model_copy(update={"calibration": calibration})
        wanted[name] = device.model_copy(update={"power": power})
        text = _read(path)
        entry = _value(_value(YAML(pure=True).compose(text), "devices"), name)
        assert isinstance(entry, MappingNode)
        plain = None
        if calibration is not None:
            plain = calibration.model_dump(mode="json", exclude_none=True)
        settings = _found(entry, "power")
        if entry.flow_style or (isinstance(settings, MappingNode) and settings.flow_style):
            _write(path, _with_flow(text, name, plain), wanted)
        else:
            _write(path, _with_block(text, entry, plain), wanted)


def _with_flow(text: str, name: str, calibration: dict[str, Any] | None) -> str:
    """Return a file with another calibration where settings stand in braces."""
    yaml = _round_trip(_indent_of(text))
    document = yaml.load(text)
    entry = next(value for key, value in document["devices"].items() if str(key) == name)
    power = entry.setdefault("power", {})
    power.pop("calibration", None)
    if calibration is not None:
        power["calibration"] = calibration
    return _dumped(yaml, document)


def _with_block(text: str, entry: MappingNode, calibration: dict[str, Any] | None) -> str:
    """Return a file with another calibration where every setting has a line.

    By lines, since comments that stand behind the last setting belong to what comes next.
    """
    lines = text.splitlines(keepends=True)
    power = _found(entry, "power")
    column = int(entry.value[0][0].start_mark.column)
    content: dict[str, Any] = {"calibration": calibration}
    if power is None:
        at = _last_line(entry) + 1
        content = {"power": content}
    else:
        column = int(power.value[0][0].start_mark.column)
        at = _last_line(power) + 1
        old = next((pair for pair in power.value if pair[0].value == "calibration"), None)
        if old is not None:
            whole = entry if len(power.value) == 1 and calibration is None else power
            name = "power" if whole is entry else "calibration"
            key, value = next(pair for pair in whole.value if pair[0].value == name)
            at = int(key.start_mark.line)
            del lines[at : _last_line(value) + 1]
    if calibration is None:
        return "".join(lines)
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    calibration["total"] = CommentedSeq(calibration["total"])
    calibration["total"].fa.set_flow_style()
    added = _dumped(_round_trip(INDENT), content).splitlines(keepends=True)
    return "".join([*lines[:at], *(" " * column + line for line in added), *lines[at:]])


def _devices_of(path: Path) -> dict[str, DeviceSettings]:
    """Return the devices of a file; relative paths start in its own folder, also behind a link."""
    return load_devices(path.resolve() if path.exists() else path)


def require_new(path: Path, name: str) -> None:
    """Raise ConfigError if a file has a device of this name already."""
    if path.exists() and name in load_devices(path):
        raise ConfigError(
            f"{path}: there is a device {name!r} already; choose another name with --name, or "
            f"take that one out with `bench devices remove {name}`"
        )


def _round_trip(indent: int) -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=indent, sequence=indent + 2, offset=indent)
    return yaml


def _dumped(yaml: YAML, document: Any) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _read(path: Path) -> str:
    try:
        # As people read it; _write puts back how the file ends its lines.
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _write(path: Path, text: str, wanted: Mapping[str, DeviceSettings] | None = None) -> None:
    """Replace a file as a whole, once what it will say has been read and found in order.

    ``wanted``: devices that it must have then, just so.
    """
    target = path.resolve()
    descriptor, name = -1, ""
    try:
        if target.exists() and b"\r\n" in target.read_bytes():
            text = text.replace("\n", "\r\n")
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        try:
            found = load_devices(Path(name))
        except ConfigError as error:
            said = str(error).partition(": ")[2]
            raise ConfigError(f"{path}: left as it was, since it would say: {said}") from None
        if any(found.get(key) != device for key, device in (wanted or {}).items()):
            raise ConfigError(
                f"{path}: left as it was, since other settings would change too; write out what "
                "devices share (& and *) for each of them"
            )
        if target.exists():
            shutil.copymode(target, name)
        else:
            Path(name).chmod(0o644)
        Path(name).replace(target)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def _indent_of(text: str) -> int:
    """Return by how much the devices of a file are indented."""
    devices = _value(YAML(pure=True).compose(text), "devices")
    assert isinstance(devices, MappingNode)
    column = int(devices.value[0][0].start_mark.column)
    return column if not devices.flow_style and column else INDENT


def _value(mapping: Node, key: str) -> Node:
    found = _found(mapping, key)
    assert found is not None
    return found


def _found(mapping: Node, key: str) -> Node | None:
    assert isinstance(mapping, MappingNode)
    return next((value for name, value in mapping.value if name.value == key), None)


def _last_line(node: Node) -> int:
    """Return the last line that a value stands on: a block ends where the next thing begins."""
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        return int(node.end_mark.line) - 1
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return max(_last_line(part) for pair in node.value for part in pair)
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return max(_last_line(part) for part in node.value)
    return int(node.end_mark.line)
