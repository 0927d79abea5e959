"""What made a result: the revision of this project and the versions of what it runs on."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

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
