"""Every board of the table, described: what its kernel shows, and what bench must make of it.

Constructed from public sources; no board was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from constructed import Chip, Described, Line


def release(major: int, revision: str) -> dict[str, str]:
    text = f"# R{major} (release), REVISION: {revision}, GCID: 1, BOARD: generic\n"
    return {"etc/nv_tegra_release": text}


L4T_32, L4T_35, L4T_38 = release(32, "7.1"), release(35, "4.1"), release(38, "2.0")

NX_LINES = (
    Line("VDD_IN", 5048, 1200),
    Line("VDD_CPU_GPU_CV", 5048, 400),
    Line("VDD_SOC", 5048, 200),
)
AGX_ORIN_LINES = (
    Line("VDD_GPU_SOC", 19800, 200),
    Line("VDD_CPU_CV", 19800, 100),
    Line("VIN_SYS_5V0", 5048, 800),
)
AGX_XAVIER_LINES = (
    (Line("GPU", 18900, 50), Line("CPU", 18900, 40), Line("SOC", 18900, 30)),
    (Line("CV", 18900, 10), Line("VDDRQ", 18900, 20), Line("SYS5V", 5000, 400)),
)
TX2_LINES = (
    (
        Line("VDD_SYS_GPU", 19000, 20),
        Line("VDD_SYS_SOC", 19000, 40),
        Line("VDD_4V0_WIFI", 4800, 10),
    ),
    (
        Line("VDD_IN", 19000, 250),
        Line("VDD_SYS_CPU", 19000, 60),
        Line("VDD_SYS_DDR", 4800, 100),
    ),
)
TX2_CARRIER_LINES = (
    (
        Line("VDD_MUX", 19000, 400),
        Line("VDD_5V0_IO_SYS", 5000, 300),
        Line("VDD_3V3_SYS", 3300, 100),
    ),
    (
        Line("VDD_3V3_IO_SLP", 3300, 10),
        Line("VDD_1V8_IO", 1800, 10),
        Line("VDD_M2_IN", 3300, 10),
    ),
)
THOR_LINES = (
    Line("VDD_GPU", 12040, 640),
    Line("VDD_CPU_SOC_MSS", 12040, 960),
    Line("VIN_SYS_5V0", 5088, 1740),
)


@dataclass(frozen=True)
class Expected:
    """What bench must make of a board; ``watts`` of the total, from the lines by hand."""

    name: str
    sensor: str | None
    total: tuple[str, ...]
    scope: str
    watts: float | None


def ina3221(device: str, *lines: Line, layout: str = "hwmon", number: int = 3) -> Chip:
    return Chip("ina3221", device, lines, layout=layout, number=number)


NANO = Described(
    "NVIDIA Jetson Nano Developer Kit",
    ("nvidia,p3450-0000", "nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano"),
    (
        ina3221(
            "6-0040",
            Line("POM_5V_IN", 5000, 500),
            Line("POM_5V_GPU", 5000, 8),
            Line("POM_5V_CPU", 5000, 160),
            layout="iio",
        ),
    ),
    L4T_32,
)
NANO_2GB = Described(
    "NVIDIA Jetson Nano 2GB Developer Kit",
    ("nvidia,p3542-0000+p3448-0003", "nvidia,jetson-nano-2gb", "nvidia,jetson-nano"),
    (),
    L4T_32,
)
TX2 = Described(
    "quill",
    ("nvidia,p2597-0000+p3310-1000", "nvidia,p2771-0000", "nvidia,quill", "nvidia,tegra186"),
    (
        ina3221("0-0040", *TX2_LINES[0], layout="iio"),
        ina3221("0-0041", *TX2_LINES[1], layout="iio"),
        # Those of the developer kit's carrier, upstream of the module and beside it.
        ina3221("0-0042", *TX2_CARRIER_LINES[0], layout="iio"),
        ina3221("0-0043", *TX2_CARRIER_LINES[1], layout="iio"),
    ),
    L4T_32,
)
XAVIER_NX_4 = Described(
    "NVIDIA Jetson Xavier NX Developer Kit",
    ("nvidia,p3449-0000+p3668-0000", "nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
    (ina3221("7-0040", *NX_LINES, layout="iio"),),
    L4T_32,
)
XAVIER_NX_5 = Described(
    "NVIDIA Jetson Xavier NX Developer Kit",
    ("nvidia,p3509-0000+p3668-0001", "nvidia,p3668-0001", "nvidia,tegra194"),
    (ina3221("7-0040", *NX_LINES),),
    L4T_35,
)
AGX_XAVIER_4 = Described(
    "Jetson-AGX",
    ("nvidia,p2972-0000", "nvidia,tegra194"),
    (
        ina3221("1-0040", *AGX_XAVIER_LINES[0], layout="iio"),
        ina3221("1-0041", *AGX_XAVIER_LINES[1], layout="iio"),
    ),
    L4T_32,
)
AGX_XAVIER_5 = Described(
    "Jetson-AGX",
    ("nvidia,p2972-0000", "nvidia,tegra194"),
    (
        ina3221("1-0040", *AGX_XAVIER_LINES[0], number=4),
        ina3221("1-0041", *AGX_XAVIER_LINES[1], number=5),
    ),
    L4T_35,
)
AGX_ORIN = Described(
    "NVIDIA Jetson AGX Orin Developer Kit",
    ("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"),
    (
        ina3221("1-0040", *AGX_ORIN_LINES, number=3),
        ina3221(
            "1-0041",
            Line("VDDQ_VDD2_1V8AO", 5048, 300),
            Line("NC", 0, 0),
            Line("NC", 0, 0),
            number=4,
        ),
    ),
    L4T_35,
)
ORIN_NX = Described(
    "NVIDIA Orin NX Developer Kit",
    ("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
    (ina3221("1-0040", *NX_LINES, number=1),),
    L4T_35,
)
ORIN_NANO = Described(
    "NVIDIA Jetson Orin Nano Developer Kit Super",
    ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
    (ina3221("1-0040", *NX_LINES, number=5),),
    L4T_35,
)
ORIN_NX_ON_XAVIERS_CARRIER = Described(
    "NVIDIA Orin NX Developer Kit",
    ("nvidia,p3509-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
    (ina3221("1-0040", *NX_LINES),),
    L4T_35,
)
THOR = Described(
    "NVIDIA Jetson AGX Thor Developer Kit",
    ("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
    (
        ina3221("2-0040", *THOR_LINES),
        Chip("ina238", "2-0044", (Line("VIN", 20000, 1500),), number=4),
    ),
    L4T_38,
)
THOR_UNLABELLED = Described(
    THOR.model,
    THOR.compatible,
    (THOR.chips[0], Chip("ina238", "2-0044", (Line(None, 20000, 1500),), number=7)),
    L4T_38,
)

TX2_NX = Described(
    "lanai-3636",
    ("nvidia,p3509-0000+p3636-0001", "nvidia,tegra186"),
    (
        ina3221(
            "7-0040",
            Line("VDD_IN", 5000, 900),
            Line("VDD_CPU_GPU", 5000, 300),
            Line("VDD_SOC", 5000, 200),
            layout="iio",
        ),
    ),
    L4T_32,
)


def pi(generation: str, chip: str) -> Described:
    return Described(
        f"Raspberry Pi {generation} Model B Rev 1.0",
        (f"raspberrypi,{generation}-model-b", f"brcm,{chip}"),
    )


AGX_XAVIER_TOTAL = ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")
AGX_ORIN_TOTAL = ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
AGX_XAVIER_WATTS = 18.9 * (0.05 + 0.04 + 0.03 + 0.01 + 0.02) + 5.0 * 0.4
AGX_ORIN_WATTS = 19.8 * 0.3 + 5.048 * 0.8
NX_WATTS = 5.048 * 1.2

TABLE = {
    "nano": (NANO, Expected("jetson-nano", "ina3221", ("POM_5V_IN",), "board input (5 V)", 2.5)),
    "nano-2gb": (NANO_2GB, Expected("jetson-nano-2gb", None, (), "", None)),
    "tx2": (TX2, Expected("jetson-tx2", "ina3221", ("VDD_IN",), "module", 4.75)),
    "tx2-nx": (TX2_NX, Expected("jetson-tx2-nx", "ina3221", ("VDD_IN",), "module", 4.5)),
    "xavier-nx-jetpack4": (
        XAVIER_NX_4,
        Expected("jetson-xavier-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS),
    ),
    "xavier-nx-jetpack5": (
        XAVIER_NX_5,
        Expected("jetson-xavier-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS),
    ),
    "agx-xavier-jetpack4": (
        AGX_XAVIER_4,
        Expected("jetson-agx-xavier", "ina3221", AGX_XAVIER_TOTAL, "module", AGX_XAVIER_WATTS),
    ),
    "agx-xavier-jetpack5": (
        AGX_XAVIER_5,
        Expected("jetson-agx-xavier", "ina3221", AGX_XAVIER_TOTAL, "module", AGX_XAVIER_WATTS),
    ),
    "agx-orin": (
        AGX_ORIN,
        Expected("jetson-agx-orin", "ina3221", AGX_ORIN_TOTAL, "module", AGX_ORIN_WATTS),
    ),
    "orin-nx": (ORIN_NX, Expected("jetson-orin-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS)),
    "orin-nx-on-xavier-nx-carrier": (
        ORIN_NX_ON_XAVIERS_CARRIER,
        Expected("jetson-orin-nx", "ina3221", ("VDD_IN",), "module", NX_WATTS),
    ),
    "orin-nano": (
        ORIN_NANO,
        Expected("jetson-orin-nano", "ina3221", ("VDD_IN",), "module", NX_WATTS),
    ),
    "thor": (
        THOR,
        Expected("jetson-agx-thor", "ina2xx", ("VIN",), "board input (with carrier)", 30.0),
    ),
    "thor-without-a-label": (
        THOR_UNLABELLED,
        Expected("jetson-agx-thor", "ina2xx", ("ina238",), "board input (with carrier)", 30.0),
    ),
    "pi-3": (pi("3", "bcm2837"), Expected("raspberry-pi-3", None, (), "", None)),
    "pi-4": (pi("4", "bcm2711"), Expected("raspberry-pi-4", None, (), "", None)),
}
