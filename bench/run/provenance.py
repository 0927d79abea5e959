"""What made a result: the revision of this project and the versions of what it runs on."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.boards import boards
from bench.meters import meters
from bench.networks import models
from bench.plugins import GROUPS, Table
from bench.plugins.agent_module import AgentModule
from bench.records.manifest import PluginFacts, Resumption
from bench.runtimes import RuntimeSpec, runtimes
from bench.sensors import sensors

# Everything that can change a number or how it is computed.
_PACKAGES = ("bench-on-device", "numpy", "onnx", "onnxruntime", "onnxscript", "scipy", "torch")


def git_revision() -> str | None:
    """Return the checkout's commit, with ``-dirty`` for local changes; ``None`` outside of one.

    An installed package may lie inside another project's checkout, whose commit says nothing.
    """
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Return the versions of the host's Python and of the packages that matter, if installed."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def tables() -> tuple[Table[Any], ...]:
    """Return the tables that plug-ins may add to.

    Raises:
        ConfigError: a name is claimed twice.
    """
    return boards(), meters(), models(), runtimes(), sensors()


def plugins() -> tuple[PluginFacts, ...]:
    """Return what other packages have added to the tables, with where it comes from.

    Raises:
        ConfigError: a name is claimed twice.
    """
    return tuple(
        PluginFacts(
            kind=GROUPS[table.group],
            name=name,
            package=plugin.package,
            version=plugin.version,
            sha256=_agent_hash(table[name]),
        )
        for table in tables()
        for name, plugin in table.plugins.items()
    )


def resumption(
    command: Sequence[str], devices: dict[str, dict[str, Any]], reason: str = ""
) -> Resumption:
    """Return the record that a run is gone on with now, on ``devices`` with these settings.

    Raises:
        ConfigError: a name is claimed twice.
    """
    return Resumption(
        resumed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(command),
        git_revision=git_revision(),
        versions=versions(),
        devices=devices,
        plugins=plugins(),
        reason=reason,
    )


def _agent_hash(thing: object) -> str | None:
    """The hash of a plug-in's file on the board, ``None`` where it has none."""
    module = thing.module if isinstance(thing, RuntimeSpec) else thing
    return module.sha256 if isinstance(module, AgentModule) else None
