"""Adds a device to devices.yaml, or takes one out, and leaves everything else as it was."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bench.config import BUILT_IN, DEFAULT_FILE, devices_file, load_devices
from bench.errors import ConfigError

INDENT = 2


def file_to_write(explicit: Path | None) -> Path:
    """Return the devices file that is in use, or where one is to be made.

    Raises:
        ConfigError: the file that was asked for does not exist.
    """
    return devices_file(explicit) or DEFAULT_FILE


def add_entry(path: Path, name: str, entry: Mapping[str, Any], comment: str) -> None:
    """Put a device at the end of a file; comments and order of the others stay.

    A file that is not there is made, with this machine as its other device.

    Raises:
        ConfigError: the file is not in order, has a device of this name, or cannot be written.
    """
    if not path.exists():
        local = BUILT_IN["local"].model_dump(mode="json", exclude_defaults=True)
        content = {"devices": {"local": {"transport": "local", **local}}}
        _write(path, _dumped(_round_trip(INDENT), content))
    require_new(path, name)
    text = _read(path)
    yaml = _round_trip(_indent_of(text))
    document = yaml.load(text)
    devices = document["devices"]
    added = CommentedMap(entry)
    devices[name] = added
    if not devices.fa.flow_style():
        added.fa.set_block_style()
        added.yaml_set_start_comment(comment, indent=2 * _indent_of(text))
    _write(path, _dumped(yaml, document))


def remove_entry(path: Path, name: str) -> None:
    """Take a device out of a file. All comments stay, also those about it.

    Raises:
        ConfigError: it has no such device, or no other one, or another one refers to it.
    """
    known = load_devices(path)
    if name not in known:
        raise ConfigError(f"{path}: there is no device {name!r}; it has: {', '.join(known)}")
    if len(known) == 1:
        raise ConfigError(f"{path}: {name} is its only device; remove the file instead")
    text = _read(path)
    devices = _value(YAML(pure=True).compose(text), "devices")
    assert isinstance(devices, MappingNode)
    if devices.flow_style:
        yaml = _round_trip(INDENT)
        document = yaml.load(text)
        del document["devices"][next(key for key in document["devices"] if str(key) == name)]
        _write(path, _dumped(yaml, document))
        return
    key, value = next(pair for pair in devices.value if pair[0].value == name)
    lines = text.splitlines(keepends=True)
    # A comment behind the last value would say nothing without it; lines of their own stay.
    del lines[key.start_mark.line : _last_line(value) + 1]
    _write(path, "".join(lines))


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
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, once what it will say has been read and found in order."""
    target = path.resolve()
    descriptor, name = -1, ""
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        try:
            load_devices(Path(name))
        except ConfigError as error:
            said = str(error).partition(": ")[2]
            raise ConfigError(f"{path}: left as it was, since it would say: {said}") from None
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
    assert isinstance(mapping, MappingNode)
    found: Node = next(value for name, value in mapping.value if name.value == key)
    return found


def _last_line(node: Node) -> int:
    """Return the last line that a value stands on: a block ends where the next thing begins."""
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        return int(node.end_mark.line) - 1
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return max(_last_line(part) for pair in node.value for part in pair)
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return max(_last_line(part) for part in node.value)
    return int(node.end_mark.line)
