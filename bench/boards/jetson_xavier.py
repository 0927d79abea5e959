"""Jetson Xavier (t194). The NX has an input rail; the AGX has none, and its six rails add up."""

from bench.boards.spec import Board

BOARDS = (
    Board(
        name="jetson-xavier-nx",
        title="Jetson Xavier NX",
        compatible=("p3668-000",),
        total=("VDD_IN",),
        scope="module",
        gain_error=0.05,
    ),
    Board(
        name="jetson-agx-xavier",
        title="Jetson AGX Xavier",
        compatible=("p2972-0000", "p2972-0006"),
        total=("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
        scope="module",
        gain_error=0.05,
    ),
)
