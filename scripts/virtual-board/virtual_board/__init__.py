"""Virtual boards: whole aarch64 machines in QEMU that look like a Jetson Orin Nano to bench.

``build`` makes what all boards share, once (:mod:`virtual_board.build`); a board is a QEMU process
with a disk of its own on top of that (:mod:`virtual_board.board`). What runs on a board lies in the
folder ``on_board`` beside this package.
"""


class BoardError(Exception):
    """What went wrong and what helps, in one line."""
