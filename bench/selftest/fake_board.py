"""A sysfs tree of a board with an INA3221, in both layouts, whose power can be set.

Values are rounded as the chip rounds them: 8 mV of bus voltage, 40 µV across the shunt. The
chip's averaging is not imitated here: what is shown is what the caller computed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SUPPLY_MV = 5050.0
SHOWN_MV = 5048
"""The supply in whole steps of 8 mV."""
SHUNT_MOHM = 5
STEP_MA = 8
"""40 µV across the shunt."""
PARTS = np.array([1.0, 0.55, 0.25])
"""Shares of the board's power that its rails carry: the input, which feeds the other two."""

UNREADABLE = -1
"""Stands for a reading that fails."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a kernel puts the chip's files.

    ``compatible`` is a board with this layout, ``rails`` its rails (the input first), ``fixed``
    the files of ``folder`` that do not change, ``shunts`` those of the device tree (paths relative
    to ``folder``) with the shunts in milliohms, ``varying`` one file per rail that shows its power
    (``in_milliwatts``) or its current. ``averaging``: the files that tell of a low-pass of 0.43 s,
    and of none; empty where the layout does not tell.
    """

    name: str
    compatible: str
    folder: str
    rails: tuple[str, str, str]
    fixed: Mapping[str, str]
    shunts: Mapping[str, int]
    varying: tuple[str, str, str]
    in_milliwatts: bool
    averaging: tuple[Mapping[str, str], Mapping[str, str]]


_NANO = ("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU")
_ORIN = ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")

LAYOUTS = (
    Layout(
        name="JetPack 4",
        compatible="nvidia,p3450-0000",
        folder="sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0",
        rails=_NANO,
        fixed={
            **{f"rail_name_{i}": name for i, name in enumerate(_NANO)},
            **{f"in_voltage{i}_input": str(SHOWN_MV) for i in (0, 1, 2)},
        },
        shunts={f"../of_node/channel@{i}/ti,shunt-resistor-mohm": SHUNT_MOHM for i in (0, 1, 2)},
        varying=("in_power0_input", "in_power1_input", "in_power2_input"),
        in_milliwatts=True,
        averaging=({}, {}),
    ),
    Layout(
        name="JetPack 5",
        compatible="nvidia,p3767-0005",
        folder="sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3",
        rails=_ORIN,
        fixed={
            **{f"in{i}_label": name for i, name in enumerate(_ORIN, 1)},
            **{f"in{i}_input": str(SHOWN_MV) for i in (1, 2, 3)},
            **{f"shunt{i}_resistor": str(1000 * SHUNT_MOHM) for i in (1, 2, 3)},
        },
        shunts={},
        varying=("curr1_input", "curr2_input", "curr3_input"),
        in_milliwatts=False,
        averaging=(
            {"samples": "512", "update_interval": "430"},
            {"samples": "1", "update_interval": "1"},
        ),
    ),
)


class FakeBoard:
    """The tree below ``root``; closes its files at the end of a ``with`` block."""

    def __init__(self, root: Path, layout: Layout, *, filtered: bool) -> None:
        self.root = root
        self.layout = layout
        folder = root / layout.folder
        folder.mkdir(parents=True)
        averaging = layout.averaging[0 if filtered else 1]
        for name, text in {**layout.fixed, **averaging}.items():
            (folder / name).write_text(text + "\n")
        for name, shunt_mohm in layout.shunts.items():
            (folder / name).resolve().parent.mkdir(parents=True)
            (folder / name).write_bytes(shunt_mohm.to_bytes(4, "big"))
        self._fds = []
        for name in layout.varying:
            (folder / name).write_text("0\n")
            self._fds.append(os.open(folder / name, os.O_WRONLY))
        self._shown = [0, 0, 0]

    def __enter__(self) -> FakeBoard:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds:
            os.close(fd)

    def codes(self, power_w: NDArray[np.float64]) -> list[list[int]]:
        """Return what the files say at each power: shape (powers, rails), mA or mW."""
        current_ma = power_w[:, None] * PARTS * 1e6 / SUPPLY_MV
        steps_ma = STEP_MA * np.round(current_ma / STEP_MA).astype(np.int64)
        codes = steps_ma * SHOWN_MV // 1000 if self.layout.in_milliwatts else steps_ma
        rows: list[list[int]] = codes.tolist()
        return rows

    def show(self, codes: list[int]) -> None:
        """Make the files say ``codes``, one per rail; UNREADABLE makes its reads fail."""
        for rail, code in enumerate(codes):
            if code != self._shown[rail]:
                text = b"%7d\n" % code if code != UNREADABLE else b"       \n"
                os.pwrite(self._fds[rail], text, 0)
                self._shown[rail] = code
