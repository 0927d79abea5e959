"""Jetson Thor (t264). An INA238 measures the whole input, the carrier included.

The three rails of its INA3221 are fed by that input. Whether they make up the module is not known,
so that they are no total where the INA238 is missing (a custom carrier may lack it). No vendor's
figure of the INA238's gain error was found.
"""

from bench.boards.spec import JETSON_STATE, JETSON_THROTTLE, Board, Rail

BOARDS = (
    Board(
        name="jetson-agx-thor",
        title="Jetson AGX Thor",
        compatible=("p3834-0008",),
        relatives=("p3834-",),
        rails=(
            Rail("VIN", sensor="ina2xx", chip="ina238"),
            Rail("VDD_GPU", fed_by="VIN"),
            Rail("VDD_CPU_SOC_MSS", fed_by="VIN"),
            Rail("VIN_SYS_5V0", fed_by="VIN"),
        ),
        total=("VIN",),
        scope="board input (with carrier)",
        runtimes=("tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime"),
        state=JETSON_STATE,
        throttle=JETSON_THROTTLE,
    ),
)
