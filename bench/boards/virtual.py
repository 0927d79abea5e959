"""The virtual board of scripts/virtual-board: an emulated machine with a Jetson's device tree.

It stands before the board that it poses as, so that every table and chart says that its times are
emulated and that nothing real drew its power.
"""

from bench.boards.spec import CPU_STATE, Board, Rail

BOARDS = (
    Board(
        name="virtual-orin-nano",
        title="virtual Jetson Orin Nano",
        compatible=("bench,virtual-board",),
        rails=(
            Rail("VDD_IN"),
            Rail("VDD_CPU_GPU_CV", fed_by="VDD_IN"),
            Rail("VDD_SOC", fed_by="VDD_IN"),
        ),
        total=("VDD_IN",),
        scope="emulated module",
        runtimes=("onnxruntime",),
        state=CPU_STATE,
        emulated=True,
    ),
)
