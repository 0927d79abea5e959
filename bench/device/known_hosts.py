"""Writing known_hosts, after a person has agreed to a key."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from bench.errors import ConfigError, HostKeyError


def remember(refused: HostKeyError) -> None:
    """Trust the key that was refused from now on: one more line in the file that ssh reads.

    Raises:
        ConfigError: the file cannot be written.
    """
    line = f"{refused.name} {refused.kind} {base64.b64encode(refused.blob).decode()}\n"
    path = refused.path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = path.read_bytes() if path.exists() else b""
        if present and not present.endswith(b"\n"):
            line = "\n" + line
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(line)
    except OSError as error:
        raise _unwritable(path, error) from error


def forget(path: Path, lines: Collection[int]) -> Path:
    """Take lines (counted from 1) out of a file; return where the file is kept as it was.

    Raises:
        ConfigError: the file cannot be written.
    """
    path = path.resolve()
    kept = path.with_name(path.name + ".old")
    try:
        content = path.read_bytes()
        left = [
            line
            for number, line in enumerate(content.splitlines(keepends=True), 1)
            if number not in lines
        ]
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"".join(left))
            kept.write_bytes(content)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error
    return kept


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path}: cannot be written ({error.strerror}); its owner must be you")
