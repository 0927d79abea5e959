"""Jetson TX2 (t186). VDD_IN feeds every other rail of the module, so it alone is the total.

On the developer kit the carrier has monitors of its own (VDD_MUX, VDD_5V0_IO_SYS, …); they are no
part of the module. Shunts: the kernel's tegra186-p3310.dtsi, whose labels differ in two places from
NVIDIA's own. The rails of the TX2 NX could not be confirmed but for VDD_IN; where it has none,
nothing is the total.
"""

from bench.boards.spec import CLOCKS_ONLY, JETSON_STATE, Board, Rail

RUNTIMES = ("tensorrt", "onnxruntime-cuda", "onnxruntime")

BOARDS = (
    Board(
        name="jetson-tx2-nx",
        title="Jetson TX2 NX",
        compatible=("p3636-0001",),
        relatives=("p3636-",),
        rails=(Rail("VDD_IN"),),
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=CLOCKS_ONLY,
    ),
    Board(
        name="jetson-tx2",
        title="Jetson TX2",
        compatible=("p2771-0000", "p3489-0000", "p3489-0888", "p3310-1000"),
        relatives=("p3489-", "p3310-"),
        rails=(
            Rail("VDD_IN", shunt_mohm=5),
            Rail("VDD_SYS_GPU", fed_by="VDD_IN", shunt_mohm=10),
            Rail("VDD_SYS_SOC", fed_by="VDD_IN", shunt_mohm=10),
            Rail("VDD_4V0_WIFI", fed_by="VDD_IN", shunt_mohm=10),
            Rail("VDD_SYS_CPU", fed_by="VDD_IN", shunt_mohm=10),
            Rail("VDD_SYS_DDR", fed_by="VDD_IN", shunt_mohm=10),
        ),
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=CLOCKS_ONLY,
    ),
)
