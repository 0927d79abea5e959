"""Linux machines that nothing better is known of than their kind of processor."""

from bench.boards.spec import CPU_STATE, Board

NAME_IT = "name its total rail in devices.yaml (power.total) if it has one"

BOARDS = (
    Board(
        name="generic-x86",
        title="x86 Linux machine",
        compatible=(),
        machines=("x86_64", "i686", "i586"),
        runtimes=("onnxruntime",),
        state=CPU_STATE,
    ),
    Board(
        name="generic-arm",
        title="Arm Linux machine",
        compatible=(),
        machines=("aarch64", "armv8l", "armv7l", "armv6l"),
        runtimes=("onnxruntime",),
        state=CPU_STATE,
        note=f"board not recognised; {NAME_IT}",
    ),
)

OTHER = Board(
    name="generic-linux",
    title="Linux machine",
    compatible=(),
    state=CPU_STATE,
    note=f"board not recognised; {NAME_IT}",
)
