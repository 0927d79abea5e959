"""Puts numpy and ONNX Runtime into the work folder of a board that lacks them."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config.device_settings import DeviceSettings
from bench.device.transport import Push
from bench.errors import DeviceError
from bench.fleet.contact import contact
from bench.onboarding.wheels import KEY_DIGITS, PACKAGES, download, target_of, wanted_versions
from bench.power.choice import sensor_options
from bench.store.files import sha256_of

WHEELS = "wheels"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """``folder`` on the board holds the packages in ``versions``; ``None``: they are the board's
    own. ``changed``: whether anything was done."""

    folder: str | None
    versions: Mapping[str, str]
    changed: bool


def provision(
    name: str,
    device: DeviceSettings,
    cache: Path,
    wanted: Sequence[str] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> Provisioned:
    """Bring a board to the packages that measuring takes; does nothing where they are.

    Args:
        name: what the device is called.
        device: its settings.
        cache: folder of this machine in which fetched wheels are kept.
        wanted: ``name==version`` in place of our own choice.
        tell: is told what is being done.

    Raises:
        DeviceError: the board cannot be reached or used, there are no wheels for it, or they do
            not run there.
        ConfigError: the wheels cannot be fetched.
    """
    wanted_versions(wanted)  # what cannot be meant is refused before the board is asked
    with contact(name, device) as board:
        tell("probing")
        facts = board.client.probe(device.root, sensor_options(device.power))
        present = _working(facts)
        if facts["packages"] is None and present is not None and not wanted:
            return Provisioned(None, present, changed=False)
        target = target_of(facts["python"])
        tell(f"fetching wheels for {target}")
        wheels = download(target, wanted, cache)
        hashes = {wheel: sha256_of(wheel) for wheel in wheels}
        key = hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:KEY_DIGITS]
        used = facts["packages"]
        if used is not None and used["key"] == key and present is not None:
            folder = posixpath.join(device.work_dir, "packages", used["folder"])
            return Provisioned(folder, used["versions"], changed=False)
        tell("sending " + ", ".join(wheel.name for wheel in wheels))
        paths = {wheel: f"{sha256[:KEY_DIGITS]}/{wheel.name}" for wheel, sha256 in hashes.items()}
        board.transport.push(
            [
                Push(wheel, posixpath.join(device.work_dir, WHEELS, paths[wheel]), sha256)
                for wheel, sha256 in hashes.items()
            ]
        )
        tell("unpacking and importing them there")
        answer = board.client.provision(key, list(paths.values()))
        if answer["problem"] is not None:
            raise DeviceError(f"{name}: {answer['problem']}")
        return Provisioned(answer["folder"], answer["versions"], changed=True)


def unprovision(name: str, device: DeviceSettings) -> str | None:
    """Remove from a board what it was provided with; returns the folder's name, if there was one.

    Raises:
        DeviceError: the board cannot be reached, or is measuring.
    """
    with contact(name, device) as board:
        return board.client.unprovision()


def _working(facts: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the versions of the packages, ``None`` unless all of them can be imported."""
    found = {"numpy": facts["numpy"], "onnxruntime": facts["runtimes"]["onnxruntime"]}
    if any(package is None or package["problem"] for package in found.values()):
        return None
    return {name: str(found[name]["version"]) for name in PACKAGES}
