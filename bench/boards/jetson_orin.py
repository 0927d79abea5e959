"""Jetson Orin (t234).

Orin NX and Nano have an input rail, VDD_IN. On the AGX Orin the three rails of the sensor at
0x40 make up the module: VIN_SYS_5V0 already feeds VDDQ_VDD2_1V8AO, which is measured at 0x41.
Shunts: the kernel's tegra234-p3701.dtsi and tegra234-p3767.dtsi.
"""

from bench.boards.spec import JETSON_STATE, JETSON_THROTTLE, Board, Rail

RUNTIMES = ("tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime")
NX_RAILS = (
    Rail("VDD_IN", shunt_mohm=5),
    Rail("VDD_CPU_GPU_CV", fed_by="VDD_IN", shunt_mohm=5),
    Rail("VDD_SOC", fed_by="VDD_IN", shunt_mohm=5),
)

BOARDS = (
    Board(
        name="jetson-orin-nano",
        title="Jetson Orin Nano",
        compatible=("p3767-0003", "p3767-0004", "p3767-0005"),
        rails=NX_RAILS,
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=JETSON_THROTTLE,
    ),
    Board(
        name="jetson-orin-nx",
        title="Jetson Orin NX",
        compatible=("p3767-0000", "p3767-0001"),
        relatives=("p3767-",),
        rails=NX_RAILS,
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=JETSON_THROTTLE,
    ),
    Board(
        name="jetson-agx-orin",
        title="Jetson AGX Orin",
        compatible=("p3701-000",),
        relatives=("p3701-",),
        rails=(
            Rail("VDD_GPU_SOC", shunt_mohm=2),
            Rail("VDD_CPU_CV", shunt_mohm=2),
            Rail("VIN_SYS_5V0", shunt_mohm=2),
            Rail("VDDQ_VDD2_1V8AO", fed_by="VIN_SYS_5V0", shunt_mohm=2),
        ),
        total=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=JETSON_THROTTLE,
    ),
)
