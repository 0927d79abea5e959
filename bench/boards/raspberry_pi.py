"""Raspberry Pi. Up to the Pi 4 there is no power sensor at all.

The Pi 5 has one in its power chip, for the rails that the chip makes: what USB devices, HATs and
NVMe drives draw from the 5 V line is not among them (sensor ``rpi-pmic``).
"""

from bench.boards.spec import CPU_STATE, Board

RUNTIMES = ("onnxruntime",)
THROTTLE = ("get_throttled of the firmware: bits 0–3 now, 16–19 since boot",)
NO_SENSOR = "no power sensor that covers the board"

BOARDS = (
    Board(
        name="raspberry-pi-5",
        title="Raspberry Pi 5",
        compatible=("raspberrypi,5-", "raspberrypi,500"),
        runtimes=RUNTIMES,
        state=CPU_STATE,
        throttle=THROTTLE,
    ),
    Board(
        name="raspberry-pi-4",
        title="Raspberry Pi 4",
        compatible=("raspberrypi,4-", "raspberrypi,400"),
        runtimes=RUNTIMES,
        state=CPU_STATE,
        throttle=THROTTLE,
        note=NO_SENSOR,
    ),
    Board(
        name="raspberry-pi-3",
        title="Raspberry Pi 3",
        compatible=("raspberrypi,3-",),
        runtimes=RUNTIMES,
        state=CPU_STATE,
        throttle=THROTTLE,
        note=NO_SENSOR,
    ),
    Board(
        name="raspberry-pi",
        title="Raspberry Pi",
        compatible=("raspberrypi,",),
        runtimes=RUNTIMES,
        state=CPU_STATE,
        throttle=THROTTLE,
        note=NO_SENSOR,
    ),
)
