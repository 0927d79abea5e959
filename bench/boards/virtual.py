"""The virtual board of scripts/virtual-board: an emulated machine with a Jetson's device tree.

It stands before the board that it poses as, so that its scope says in every table and chart that
nothing real drew that power.
"""

from bench.boards.spec import Board

BOARDS = (
    Board(
        name="virtual-orin-nano",
        title="virtual Jetson Orin Nano",
        compatible=("bench,virtual-board",),
        total=("VDD_IN",),
        scope="emulated module",
    ),
)
