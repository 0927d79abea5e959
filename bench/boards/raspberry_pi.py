"""Raspberry Pi. Up to the Pi 4 there is no power sensor at all."""

from bench.boards.spec import Board

BOARDS = (
    Board(
        name="raspberry-pi",
        title="Raspberry Pi",
        compatible=("raspberrypi,",),
        note="no power sensor that covers the board",
    ),
)
