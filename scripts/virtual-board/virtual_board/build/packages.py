"""What a build needs on the host: Debian packages, and wheels for the board."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from virtual_board import BoardError, places
from virtual_board.build.commands import Log

HOST_PACKAGES = (
    "qemu-system-arm",
    "qemu-utils",
    "gcc-aarch64-linux-gnu",
    "make",
    "device-tree-compiler",
    "e2fsprogs",
    "kmod",
    "cpio",
    "xz-utils",
    "openssh-client",
)
PLATFORMS = tuple(
    f"manylinux_{version}_aarch64" for version in ("2_28", "2_27", "2_26", "2_24", "2_17")
)
BOARD_PYTHON = "3.11"
"""That of Debian 12. ``debian.py`` refuses other releases."""


def install(log: Log) -> None:
    """Install what is missing of the host's packages, as root or with a sudo that does not ask.

    Raises:
        BoardError: they cannot be installed; the message says what to type.
    """
    is_root = os.geteuid() == 0
    wanted = [*HOST_PACKAGES, *(() if is_root else ("fakeroot",))]
    missing = [name for name in wanted if not _is_installed(name)]
    if not missing:
        return
    install = ("apt-get", "install", "-y", "--no-install-recommends", *missing)
    as_root = () if is_root else ("sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive")
    try:
        log.run(*as_root, "apt-get", "update")
        log.run(*as_root, *install)
    except BoardError as error:
        raise BoardError(f"{error}; type: sudo {' '.join(install)}") from None


def download_wheels(folder: Path, log: Log) -> None:
    """Fetch the board's wheels, in the versions of constraints.txt.

    Raises:
        BoardError: pip cannot get them.
    """
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    log.run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--python-version", BOARD_PYTHON, *platforms),
        *("--dest", str(folder), *places.pins()),
    )


def _is_installed(package: str) -> bool:
    try:
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
        done = subprocess.run(query, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BoardError("virtual boards are built on Debian 12, and here is no dpkg") from None
    return done.stdout == "installed"
