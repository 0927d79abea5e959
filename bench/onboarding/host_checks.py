"""Checks of this machine, which orchestrates: ``bench doctor`` without a name."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from bench.config.devices_file import load_devices
from bench.device.ssh_config import DEFAULT_IDENTITIES, SshSettings, resolve
from bench.errors import ConfigError, TransportError
from bench.extras import PACKAGE, install_command
from bench.onboarding.checks import Check, does_not_apply, failed, passed

GIB = 2**30
LOW_DISK_BYTES = GIB
EXTRAS = ("models", "train", "joulescope", "ppk2", "labgrid", "trt-check", "dev")


def host_checks(devices_path: Path | None, cache: Path) -> Iterator[Check]:
    """Yield the checks of this machine."""
    yield passed("python", platform.python_version())
    yield _torch()
    yield _cache(cache)
    yield _devices(devices_path)
    yield _ssh_config()
    yield _ssh_keys()
    yield does_not_apply("ssh server", "not needed here: this machine logs in to the boards")
    for extra in EXTRAS:
        yield _extra(extra)


def _torch() -> Check:
    try:
        return passed("torch", metadata.version("torch"))
    except metadata.PackageNotFoundError:
        fix = f"for the built-in networks: {install_command('models')} (ONNX files need no torch)"
        return failed("torch", "not installed", fix)


def _cache(cache: Path) -> Check:
    """Whether the cache can be written, and how large it is."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        fix = "make it writable, or name another folder as BENCH_CACHE"
        return failed("cache", f"{cache}: {error.strerror}", fix, prevents=True)
    size = sum(path.lstat().st_size for path in cache.rglob("*") if path.is_file())
    free = shutil.disk_usage(cache).free
    found = f"{cache}: {size / GIB:.1f} GiB, {free / GIB:.1f} GiB free"
    if free < LOW_DISK_BYTES:
        return failed("cache", found, f"free some space; everything in {cache} can be made again")
    return passed("cache", found)


def _devices(path: Path | None) -> Check:
    try:
        return passed("devices", ", ".join(load_devices(path)))
    except ConfigError as error:
        fix = "correct the file, or name another one (--devices or BENCH_DEVICES)"
        return failed("devices", str(error), fix, prevents=True)


def _ssh_config() -> Check:
    try:
        resolve(SshSettings(host="localhost"))
    except TransportError as error:
        return failed("ssh configuration", str(error), "fix ~/.ssh/config", prevents=False)
    return passed("ssh configuration", "can be read")


def _ssh_keys() -> Check:
    found = [str(path) for path in DEFAULT_IDENTITIES if path.expanduser().is_file()]
    if os.environ.get("SSH_AUTH_SOCK"):
        found.append("an ssh agent")
    if found:
        return passed("ssh keys", ", ".join(found))
    fix = "`ssh-keygen -t ed25519`, then `ssh-copy-id USER@BOARD`; or `identity_file` per device"
    return does_not_apply("ssh keys", f"none of ~/.ssh/id_* and no agent; for boards: {fix}")


def _extra(extra: str) -> Check:
    """Whether what an extra names is installed."""
    try:
        lines = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return does_not_apply(f"extra {extra}", "bench runs from its sources")
    wanted = [line for line in map(Requirement, lines) if _is_of(line, extra)]
    missing = sorted({line.name for line in wanted if not _is_installed(line.name)})
    if missing:
        found = f"not installed ({', '.join(missing)}); if wanted: {install_command(extra)}"
        return does_not_apply(f"extra {extra}", found)
    return passed(f"extra {extra}", "installed")


def _is_of(line: Requirement, extra: str) -> bool:
    if line.marker is None or line.name == PACKAGE:
        return False
    return line.marker.evaluate({"extra": extra}) and not line.marker.evaluate({"extra": ""})


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
