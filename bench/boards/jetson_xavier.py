"""Jetson Xavier (t194). The NX has an input rail; the AGX has none, and its six rails add up.

Shunts: the kernel's tegra194-p2888.dtsi and tegra194-p3668.dtsi; those of the AGX are the same in
its design guide (DG-09840, power monitor).
"""

from bench.boards.spec import JETSON_STATE, JETSON_THROTTLE, Board, Rail

RUNTIMES = ("tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime")
AGX_RAILS = ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")

BOARDS = (
    Board(
        name="jetson-xavier-nx",
        title="Jetson Xavier NX",
        compatible=("p3668-000",),
        relatives=("p3668-",),
        rails=(
            Rail("VDD_IN", shunt_mohm=5),
            Rail("VDD_CPU_GPU_CV", fed_by="VDD_IN", shunt_mohm=5),
            Rail("VDD_SOC", fed_by="VDD_IN", shunt_mohm=5),
        ),
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=JETSON_THROTTLE,
    ),
    Board(
        name="jetson-agx-xavier",
        title="Jetson AGX Xavier",
        compatible=("p2972-0000", "p2972-0006", "p2888-000"),
        relatives=("p2888-",),
        rails=tuple(Rail(name, shunt_mohm=5) for name in AGX_RAILS),
        total=AGX_RAILS,
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=JETSON_THROTTLE,
    ),
)
