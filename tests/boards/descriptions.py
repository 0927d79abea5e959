"""Boards, described: what their kernels show.

Constructed from public sources; no board was seen.
"""

from __future__ import annotations

from dataclasses import replace

from constructed import Chip, Described, Line

THROTTLING = {
    "sys/class/hwmon/hwmon0/name": "soctherm_oc\n",
    **{f"sys/class/hwmon/hwmon0/oc{number}_event_cnt": "0\n" for number in (1, 2, 3)},
    "sys/class/thermal/cooling_device0/type": "cpu-throttle-alert\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
    "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert\n",
    "sys/class/thermal/cooling_device1/cur_state": "0\n",
}
CPUFREQ = {
    f"sys/devices/system/cpu/cpu0/cpufreq/scaling_{name}": f"{text}\n"
    for name, text in {"governor": "schedutil", "min_freq": 115200, "max_freq": 1984000}.items()
}
L4T_PROGRAMS = {"usr/sbin/nvpmodel": "echo 0", "usr/bin/jetson_clocks": ""}


def release(major: int, revision: str) -> dict[str, str]:
    text = f"# R{major} (release), REVISION: {revision}, GCID: 1, BOARD: generic\n"
    return {"etc/nv_tegra_release": text, **CPUFREQ, **(THROTTLING if major > 32 else {})}


L4T_32, L4T_35, L4T_38 = release(32, "7.1"), release(35, "4.1"), release(38, "2.0")
L4T_36 = release(36, "4.3")

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


def ina3221(
    device: str, *lines: Line, layout: str = "hwmon", number: int = 3, shunt_mohm: int = 5
) -> Chip:
    return Chip("ina3221", device, lines, layout=layout, number=number, shunt_mohm=shunt_mohm)


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
    L4T_PROGRAMS,
)
NANO_2GB = Described(
    "NVIDIA Jetson Nano 2GB Developer Kit",
    ("nvidia,p3542-0000+p3448-0003", "nvidia,jetson-nano-2gb", "nvidia,jetson-nano"),
    (),
    L4T_32,
    L4T_PROGRAMS,
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
    L4T_PROGRAMS,
)
XAVIER_NX_4 = Described(
    "NVIDIA Jetson Xavier NX Developer Kit",
    ("nvidia,p3449-0000+p3668-0000", "nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
    (ina3221("7-0040", *NX_LINES, layout="iio"),),
    L4T_32,
    L4T_PROGRAMS,
)
XAVIER_NX_5 = Described(
    "NVIDIA Jetson Xavier NX Developer Kit",
    ("nvidia,p3509-0000+p3668-0001", "nvidia,p3668-0001", "nvidia,tegra194"),
    (ina3221("7-0040", *NX_LINES),),
    L4T_35,
    L4T_PROGRAMS,
)
AGX_XAVIER_4 = Described(
    "Jetson-AGX",
    ("nvidia,p2972-0000", "nvidia,tegra194"),
    (
        ina3221("1-0040", *AGX_XAVIER_LINES[0], layout="iio"),
        ina3221("1-0041", *AGX_XAVIER_LINES[1], layout="iio"),
    ),
    L4T_32,
    L4T_PROGRAMS,
)
AGX_XAVIER_5 = Described(
    "Jetson-AGX",
    ("nvidia,p2972-0000", "nvidia,tegra194"),
    (
        ina3221("1-0040", *AGX_XAVIER_LINES[0], number=4),
        ina3221("1-0041", *AGX_XAVIER_LINES[1], number=5),
    ),
    L4T_35,
    L4T_PROGRAMS,
)
AGX_ORIN = Described(
    "NVIDIA Jetson AGX Orin Developer Kit",
    ("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"),
    (
        ina3221("1-0040", *AGX_ORIN_LINES, number=3, shunt_mohm=2),
        ina3221(
            "1-0041",
            Line("VDDQ_VDD2_1V8AO", 5048, 300),
            Line("NC", 0, 0),
            Line("NC", 0, 0),
            number=4,
            shunt_mohm=2,
        ),
    ),
    L4T_35,
    L4T_PROGRAMS,
)
ORIN_NX = Described(
    "NVIDIA Orin NX Developer Kit",
    ("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
    (ina3221("1-0040", *NX_LINES, number=1),),
    L4T_35,
    L4T_PROGRAMS,
)
ORIN_NANO = Described(
    "NVIDIA Jetson Orin Nano Developer Kit Super",
    ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
    (ina3221("1-0040", *NX_LINES, number=5),),
    L4T_35,
    L4T_PROGRAMS,
)
ORIN_NX_ON_XAVIERS_CARRIER = Described(
    "NVIDIA Orin NX Developer Kit",
    ("nvidia,p3509-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
    (ina3221("1-0040", *NX_LINES),),
    L4T_35,
    L4T_PROGRAMS,
)
THOR = Described(
    "NVIDIA Jetson AGX Thor Developer Kit",
    ("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
    (
        ina3221("2-0040", *THOR_LINES),
        Chip("ina238", "2-0044", (Line("VIN", 20000, 1500),), number=4),
    ),
    L4T_38,
    L4T_PROGRAMS,
)
THOR_UNLABELLED = Described(
    THOR.model,
    THOR.compatible,
    (THOR.chips[0], Chip("ina238", "2-0044", (Line(None, 20000, 1500),), number=7)),
    L4T_38,
    L4T_PROGRAMS,
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
    L4T_PROGRAMS,
)


ORIN_NANO_6 = replace(ORIN_NANO, files=L4T_36)
PMIC_ADC = (
    "EXT5V_V volt(24)=5.10000000V\n"
    "VDD_CORE_A current(7)=2.00000000A\nVDD_CORE_V volt(15)=0.80000000V"
)


def pi(model: str, chip: str, programs: dict[str, str] | None = None) -> Described:
    flags = {"sys/devices/platform/soc/soc:firmware/get_throttled": "0\n"}
    return Described(
        f"Raspberry Pi {model}",
        (f"raspberrypi,{model}", f"brcm,{chip}"),
        files={**flags, **CPUFREQ},
        programs=programs or {},
    )


PI_5 = pi("5-model-b", "bcm2712", {"usr/bin/vcgencmd": f"echo '{PMIC_ADC}'"})
ARM_BOARD = Described(
    "FriendlyElec NanoPC-T6", ("friendlyarm,nanopc-t6", "rockchip,rk3588"), files=CPUFREQ
)
RAPL = "sys/class/powercap/intel-rapl:0"
X86 = Described(
    "",
    (),
    files={
        f"{RAPL}/name": "package-0\n",
        f"{RAPL}/energy_uj": "1000000\n",
        f"{RAPL}/max_energy_range_uj": "262143328850\n",
        **CPUFREQ,
    },
    machine="x86_64",
)
