"""Builds sysfs and procfs trees of boards from small descriptions.

They are constructed: no board was seen. Layouts are those of NVIDIA's and the mainline kernels'
drivers, as far as bench and jetson-stats read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """A measured supply line; ``label`` is ``None`` where the kernel has none."""

    label: str | None
    millivolts: int
    milliamperes: int

    @property
    def milliwatts(self) -> int:
        return self.millivolts * self.milliamperes // 1000


@dataclass(frozen=True)
class Chip:
    """A power monitor. ``layout``: ``iio`` (JetPack 4) or ``hwmon`` (JetPack 5, mainline).

    ``shunts_mohm``: as the device tree has them (iio). ``files``: further ones in its folder.
    """

    kind: str
    device: str
    lines: tuple[Line, ...]
    layout: str = "hwmon"
    number: int = 3
    shunt_mohm: int = 5
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Described:
    """A board: its device tree strings (none: it has no device tree), its chips, further files, of
    which ``programs`` can be run; ``machine``: what ``uname -m`` says."""

    model: str
    compatible: tuple[str, ...]
    chips: tuple[Chip, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    machine: str = "aarch64"


def build(root: Path, board: Described) -> str:
    """Make the tree of a board below ``root`` and return the root as the agent takes it."""
    if board.compatible:
        names = "".join(name + "\0" for name in board.compatible)
        write(root, "proc/device-tree/model", board.model + "\0")
        write(root, "proc/device-tree/compatible", names)
    for chip in board.chips:
        _build_chip(root, chip)
    for path, text in board.files.items():
        write(root, path, text)
    for path, text in board.programs.items():
        write(root, path, f"#!/bin/sh\n{text}\n")
        (root / path).chmod(0o755)
    return str(root)


def write(root: Path, path: str, text: str) -> None:
    """Write a file below ``root``."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def _build_chip(root: Path, chip: Chip) -> None:
    bus = chip.device.split("-")[0]
    device = f"sys/devices/platform/soc/i2c-{bus}/{chip.device}"
    driver = f"sys/bus/i2c/drivers/{chip.kind}{'x' if chip.layout == 'iio' else ''}"
    write(root, f"{device}/name", f"{chip.kind}{'x' if chip.layout == 'iio' else ''}\n")
    _link(root, f"sys/bus/i2c/devices/{chip.device}", device)
    _link(root, f"{driver}/{chip.device}", device)
    if chip.layout == "iio":
        _build_iio(root, device, chip)
        return
    folder = f"{device}/hwmon/hwmon{chip.number}"
    write(root, f"{folder}/name", chip.kind + "\n")
    _link(root, f"{folder}/device", device)
    _link(root, f"sys/class/hwmon/hwmon{chip.number}", folder)
    if chip.kind == "ina3221":
        _build_ina3221(root, folder, chip)
    else:
        _build_ina2xx(root, folder, chip)
    for name, text in chip.files.items():
        write(root, f"{folder}/{name}", text)


def _build_iio(root: Path, device: str, chip: Chip) -> None:
    folder = f"{device}/iio:device0"
    for number, line in enumerate(chip.lines):
        write(root, f"{folder}/rail_name_{number}", (line.label or "") + "\n")
        write(root, f"{folder}/in_voltage{number}_input", f"{line.millivolts}\n")
        write(root, f"{folder}/in_current{number}_input", f"{line.milliamperes}\n")
        write(root, f"{folder}/in_power{number}_input", f"{line.milliwatts}\n")
    for name, text in chip.files.items():
        write(root, f"{folder}/{name}", text)


def _build_ina3221(root: Path, folder: str, chip: Chip) -> None:
    write(root, f"{folder}/samples", "512\n")
    write(root, f"{folder}/update_interval", "430\n")
    for number, line in enumerate(chip.lines, 1):
        if line.label is not None:
            write(root, f"{folder}/in{number}_label", line.label + "\n")
        write(root, f"{folder}/in{number}_input", f"{line.millivolts}\n")
        write(root, f"{folder}/curr{number}_input", f"{line.milliamperes}\n")
        write(root, f"{folder}/shunt{number}_resistor", f"{1000 * chip.shunt_mohm}\n")
        # Shunt voltages look like further rails, and their sum like a total.
        write(root, f"{folder}/in{number + 3}_input", f"{line.milliamperes}\n")
    write(root, f"{folder}/in7_label", "sum of shunt voltages\n")
    write(root, f"{folder}/in7_input", f"{sum(line.milliamperes for line in chip.lines)}\n")
    write(root, f"{folder}/curr4_input", f"{sum(line.milliamperes for line in chip.lines)}\n")


def _build_ina2xx(root: Path, folder: str, chip: Chip) -> None:
    (line,) = chip.lines
    if line.label is not None:
        write(root, f"{folder}/in1_label", line.label + "\n")
    write(root, f"{folder}/in0_input", "9\n")
    write(root, f"{folder}/in1_input", f"{line.millivolts}\n")
    write(root, f"{folder}/curr1_input", f"{line.milliamperes}\n")
    write(root, f"{folder}/power1_input", f"{line.millivolts * line.milliamperes}\n")


def _link(root: Path, path: str, target: str) -> None:
    link = root / path
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(root / target)
