"""Wheels for a board's Python, fetched from the package index by the pip of this machine.

Which wheel fits where: PEP 425 (tags), PEP 600 (``manylinux_2_x``: built for glibc 2.x or newer).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, DeviceError

KEY_DIGITS = 16
DOWNLOAD_S = 1800.0
PACKAGES = ("numpy", "onnxruntime")
"""What measuring on the CPU takes. What else ONNX Runtime lists as required (sympy, protobuf, …)
serves its tools: inference does not import it."""

_PINNED = {
    # The newest that exist for it, seen working together.
    (3, 6): {"numpy": "==1.19.5", "onnxruntime": "==1.10.0"},
    # JetPack 5: its TensorRT 8.5 and pycuda of that age use np.bool, which numpy 1.24 took away
    # (NVIDIA/TensorRT issue 2557, ultralytics issue 22930).
    (3, 8): {"numpy": "<1.24"},
}
# These wheels come before the board's own packages, and what is built against numpy 1 does not
# import beside numpy 2: so are the GPU wheels of ONNX Runtime for JetPack 6, up to 1.23 (microsoft/
# onnxruntime issue 27562), and the packages of Ubuntu 24.04, on which JetPack 7 stands (numpy 1.26,
# Python 3.12). The registry's own onnxruntime takes either from 1.19 on, numpy 1 alone before. Nor
# has numpy 1 wheels for any newer Python.
_LAST_WITH_NUMPY_1 = (3, 12)
_ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OFFLINE = (
    "name resolution",
    "NewConnectionError",
    "ConnectTimeout",
    "Network is unreachable",
    "ProxyError",
    "SSLError",
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a wheel must be built for: Python version, ABI (``cp36m``), CPU, minor of glibc 2."""

    python: tuple[int, int]
    abi: str
    machine: str
    glibc_minor: int

    def __str__(self) -> str:
        version = ".".join(map(str, self.python))
        return f"Python {version} ({self.abi}) on {self.machine} with glibc 2.{self.glibc_minor}"


def target_of(python: Mapping[str, Any]) -> Target:
    """Return what wheels must fit, from ``python`` of a board's probe.

    Raises:
        DeviceError: there are no wheels for such a Python at all.
    """
    if python["implementation"] != "cpython":
        raise DeviceError(
            f"the board's Python is {python['implementation']}, for which the packages are not "
            "built; set `python` of this device to CPython"
        )
    libc = str(python["glibc"] or "").split(".")
    if libc[0] != "2" or not libc[1:2] or not libc[1].isdigit():
        raise DeviceError(
            "the board's C library is not glibc (Alpine Linux has musl): install numpy and "
            "onnxruntime with its own package manager"
        )
    major, minor = (int(part) for part in str(python["version"]).split(".")[:2])
    machine = str(python["platform"]).partition("-")[2]
    if python["bits"] == 32:
        # A 32-bit system on a 64-bit kernel reports the kernel's CPU.
        machine = {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine)
    abi = f"cp{major}{minor}{python['abi_flags']}"
    return Target((major, minor), abi, machine, int(libc[1]))


def platforms(target: Target) -> list[str]:
    """Return the platform tags that a board takes, the newest first."""
    lowest = 5 if target.machine in ("x86_64", "i686") else 17
    tags = []
    for minor in range(target.glibc_minor, lowest - 1, -1):
        tags.append(f"manylinux_2_{minor}_{target.machine}")
        if minor in _ALIASES:
            tags.append(f"{_ALIASES[minor]}_{target.machine}")
    return tags


def requirements(target: Target, wanted: Sequence[str] = ()) -> list[str]:
    """Return what pip is asked for; ``wanted`` (``name==version``) replaces our own choice.

    Raises:
        ConfigError: something else is wanted than what is provided.
    """
    versions = dict.fromkeys(PACKAGES, "")
    if target.python <= _LAST_WITH_NUMPY_1:
        versions["numpy"] = "<2"
    versions.update(_PINNED.get(target.python, {}))
    versions.update(wanted_versions(wanted))
    return [name + version for name, version in versions.items()]


def wanted_versions(wanted: Sequence[str]) -> dict[str, str]:
    """Return ``==version`` by package, of ``name==version``.

    Raises:
        ConfigError: one is written otherwise, or is something else than what is provided.
    """
    versions = {}
    for text in wanted:
        name, separator, version = text.partition("==")
        if name not in PACKAGES or not separator or not version:
            raise ConfigError(
                f"--package {text}: write it as NAME==VERSION, with {' or '.join(PACKAGES)}"
            )
        versions[name] = f"=={version}"
    return versions


def download(target: Target, wanted: Sequence[str], cache: Path) -> list[Path]:
    """Return wheels that fit a board; what was fetched once for such a board is fetched no more.

    Raises:
        DeviceError: there are none for it.
        ConfigError: pip is missing here, or the package index cannot be reached.
    """
    asked = requirements(target, wanted)
    tags = platforms(target)
    if not tags:
        raise DeviceError(f"no wheels are built for {target}: it is too old")
    key = hashlib.sha256(json.dumps([asdict(target), asked]).encode()).hexdigest()
    folder = cache / "wheels" / key[:KEY_DIGITS]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix="part-"))
        try:
            _pip_download(target, tags, asked, part)
            if not folder.is_dir():
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return sorted(folder.glob("*.whl"))


def _pip_download(target: Target, tags: Sequence[str], asked: Sequence[str], folder: Path) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    argv += ["--no-input", "--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    argv += ["--python-version", ".".join(map(str, target.python)), "--dest", str(folder)]
    for abi in (target.abi, "abi3", "none"):
        argv += ["--abi", abi]
    for tag in tags:
        argv += ["--platform", tag]
    # Constraints of this machine's own packages are not the board's.
    environment = {name: text for name, text in os.environ.items() if name != "PIP_CONSTRAINT"}
    try:
        done = subprocess.run(
            [*argv, *asked],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DOWNLOAD_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"pip did not fetch the wheels within {DOWNLOAD_S:.0f} s") from None
    if done.returncode == 0:
        return
    said = done.stderr.strip()
    if "No module named pip" in said:
        raise ConfigError(
            f"{sys.executable} has no pip to fetch wheels with; `{sys.executable} -m ensurepip`"
        )
    if any(sign in said for sign in _OFFLINE):
        raise ConfigError(
            "the package index cannot be reached from this machine; the board needs no internet, "
            "but this machine does, once",
            detail=said,
        )
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")]
    last = errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {done.returncode}"
    raise DeviceError(
        f"no wheels for {target}: {last}; set `python` of this device to another Python there, or "
        "install numpy and a runtime on the board by other means",
        detail=said,
    )
