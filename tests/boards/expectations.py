"""TABLE: what bench must make of every board that is described.

Worked out by hand from public sources; no board was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from descriptions import (
    AGX_ORIN,
    AGX_XAVIER_4,
    AGX_XAVIER_5,
    ARM_BOARD,
    NANO,
    NANO_2GB,
    ORIN_NANO,
    ORIN_NANO_6,
    ORIN_NX,
    ORIN_NX_ON_XAVIERS_CARRIER,
    PI_5,
    THOR,
    THOR_UNLABELLED,
    TX2,
    TX2_NX,
    X86,
    XAVIER_NX_4,
    XAVIER_NX_5,
    pi,
)

from bench.records.status import Source


@dataclass(frozen=True)
class Expected:
    """What bench must make of a board; ``watts`` of the total and of its step, from the lines and
    the shunts by hand."""

    name: str
    sensor: str | None
    total: tuple[str, ...]
    scope: str
    watts: float | None
    step_w: float | None = None
    source: Source = Source.MEASURED


AGX_XAVIER_TOTAL = ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")
AGX_ORIN_TOTAL = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
AGX_XAVIER_WATTS = 18.9 * (0.05 + 0.04 + 0.03 + 0.01 + 0.02) + 5.0 * 0.4
AGX_ORIN_WATTS = 19.8 * 0.3 + 5.048 * 0.8
NX_WATTS = 5.048 * 1.2
# 40 µV over the shunt: 8 mA at 5 mΩ, 20 mA at 2 mΩ; the steps of a sum add up.
NX_STEP_W = 5.048 * 0.008
AGX_XAVIER_STEP_W = (5 * 18.9 + 5.0) * 0.008
AGX_ORIN_STEP_W = (2 * 19.8 + 5.048) * 0.020

TABLE = {
    "nano": (NANO, Expected("jetson-nano", "ina3221", ("POM_5V_IN",), "board input (5 V)", 2.5)),
    "nano-2gb": (NANO_2GB, Expected("jetson-nano-2gb", None, (), "", None)),
    "tx2": (TX2, Expected("jetson-tx2", "ina3221", ("VDD_IN",), "module", 4.75, 19.0 * 0.008)),
    "tx2-nx": (TX2_NX, Expected("jetson-tx2-nx", "ina3221", ("VDD_IN",), "module", 4.5)),
    "xavier-nx-jetpack4": (
        XAVIER_NX_4,
        Expected("jetson-xavier-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS, NX_STEP_W),
    ),
    "xavier-nx-jetpack5": (
        XAVIER_NX_5,
        Expected("jetson-xavier-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS, NX_STEP_W),
    ),
    "agx-xavier-jetpack4": (
        AGX_XAVIER_4,
        Expected(
            "jetson-agx-xavier",
            "ina3221",
            AGX_XAVIER_TOTAL,
            "module",
            AGX_XAVIER_WATTS,
            AGX_XAVIER_STEP_W,
        ),
    ),
    "agx-xavier-jetpack5": (
        AGX_XAVIER_5,
        Expected(
            "jetson-agx-xavier",
            "ina3221",
            AGX_XAVIER_TOTAL,
            "module",
            AGX_XAVIER_WATTS,
            AGX_XAVIER_STEP_W,
        ),
    ),
    "agx-orin": (
        AGX_ORIN,
        Expected(
            "jetson-agx-orin", "ina3221", AGX_ORIN_TOTAL, "module", AGX_ORIN_WATTS, AGX_ORIN_STEP_W
        ),
    ),
    "orin-nx": (
        ORIN_NX,
        Expected("jetson-orin-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS, NX_STEP_W),
    ),
    "orin-nx-on-xavier-nx-carrier": (
        ORIN_NX_ON_XAVIERS_CARRIER,
        Expected("jetson-orin-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS, NX_STEP_W),
    ),
    "orin-nano": (
        ORIN_NANO,
        Expected("jetson-orin-nano", "ina3221", ("VDD_IN",), "module", NX_WATTS, NX_STEP_W),
    ),
    "thor": (
        THOR,
        Expected("jetson-agx-thor", "ina2xx", ("VIN",), "board input (with carrier)", 30.0),
    ),
    "thor-without-a-label": (
        THOR_UNLABELLED,
        Expected("jetson-agx-thor", "ina2xx", ("ina238",), "board input (with carrier)", 30.0),
    ),
    "orin-nano-jetpack6": (
        ORIN_NANO_6,
        Expected("jetson-orin-nano", "ina3221", ("VDD_IN",), "module", NX_WATTS, NX_STEP_W),
    ),
    "pi-2": (pi("2-model-b", "bcm2836"), Expected("raspberry-pi", None, (), "", None)),
    "pi-3": (pi("3-model-b", "bcm2837"), Expected("raspberry-pi-3", None, (), "", None)),
    "pi-4": (pi("4-model-b", "bcm2711"), Expected("raspberry-pi-4", None, (), "", None)),
    "pi-5": (
        PI_5,
        Expected(
            "raspberry-pi-5",
            "rpi-pmic",
            ("sum of rails",),
            "rails of the board's power chip (without USB, HAT, NVMe and its own losses)",
            1.6,
        ),
    ),
    "arm-board": (ARM_BOARD, Expected("generic-arm", None, (), "", None)),
    "x86": (
        X86,
        Expected("generic-x86", "rapl", ("package-0",), "CPU package", None, source=Source.COUNTER),
    ),
}
