"""How what an extra of this package names gets installed."""

from __future__ import annotations

import shlex
import sys

PACKAGE = "bench-on-device"


def install_command(extra: str) -> str:
    """Return the command that adds an extra to the Python that runs this.

    It is the same for a checkout's ``.venv`` and for a package that was installed: pip takes the
    requirements from what is installed already and leaves that as it is.
    """
    return f"{shlex.quote(sys.executable)} -m pip install '{PACKAGE}[{extra}]'"
