"""Jetson TX2 (t186). VDD_IN feeds every other rail of the module, so it alone is the total."""

from bench.boards.spec import Board

BOARDS = (
    Board(
        name="jetson-tx2",
        title="Jetson TX2",
        compatible=("p2771-0000", "p3489-0000", "p3636-0001"),
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
    ),
)
