"""The virtual board of scripts/virtual-board: an emulated machine with a Jetson's device tree.

It stands before the board that it poses as, so that every table and chart says that its times are
emulated and that nothing real drew its power.
"""

from bench.boards.spec import Board

BOARDS = (
    Board(
        name="virtual-orin-nano",
        title="virtual Jetson Orin Nano",
        compatible=("bench,virtual-board",),
        total=("VDD_IN",),
        scope="emulated module",
        emulated=True,
    ),
)
