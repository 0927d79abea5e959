"""Jetson Nano (t210). POM_5V_IN feeds the GPU and CPU rails, so it alone is the total."""

from bench.boards.spec import CLOCKS_ONLY, JETSON_STATE, Board, Rail

RUNTIMES = ("tensorrt", "onnxruntime-cuda", "onnxruntime")

BOARDS = (
    Board(
        name="jetson-nano-2gb",
        title="Jetson Nano 2GB",
        compatible=("p3448-0003", "jetson-nano-2gb"),
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=CLOCKS_ONLY,
        note="this board has no power sensor",
    ),
    Board(
        name="jetson-nano",
        title="Jetson Nano",
        compatible=("p3450-0000", "p3450-0002", "p3448-0000", "p3448-0002", "jetson-nano"),
        rails=(
            Rail("POM_5V_IN"),
            Rail("POM_5V_GPU", fed_by="POM_5V_IN"),
            Rail("POM_5V_CPU", fed_by="POM_5V_IN"),
        ),
        total=("POM_5V_IN",),
        scope="board input (5 V)",
        gain_error=0.05,
        runtimes=RUNTIMES,
        state=JETSON_STATE,
        throttle=CLOCKS_ONLY,
    ),
)
