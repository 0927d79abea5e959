"""The device tree: QEMU's own, made to say Jetson Orin Nano and to have that board's rails."""

from __future__ import annotations

from pathlib import Path

from virtual_board import machine
from virtual_board.build.commands import Log

MODEL = "NVIDIA Jetson Orin Nano Developer Kit (virtual board, QEMU)"
COMPATIBLE = (
    "bench,virtual-board",
    "nvidia,p3768-0000+p3767-0005",
    "nvidia,p3767-0005",
    "nvidia,tegra234",
    "linux,dummy-virt",
)
"""The first tells it from the board that it poses as (bench/boards/virtual.py)."""
MONITOR = "/virtual-i2c/ina3221@40"
ADDRESS = "0x40"
RAILS = ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
SHUNT_UOHM = "40000"
"""With these 40 mΩ one step of the chip is the 1 mA in which its driver counts, 5 mW at 5 V, and
the range 20 W. (NVIDIA's board has 5 mΩ: steps of 40 mW.)"""


def write(target: Path, log: Log) -> None:
    """Write the board's compiled device tree.

    Raises:
        BoardError: QEMU or dtc failed.
    """
    log.run(*machine.base_device_tree(target))

    def put(kind: str, node: str, name: str, *values: str) -> None:
        log.run("fdtput", "-t", kind, str(target), node, name, *values)

    put("s", "/", "model", MODEL)
    put("s", "/", "compatible", *COMPATIBLE)
    inputs = [f"{MONITOR}/input@{number}" for number in range(len(RAILS))]
    log.run("fdtput", "-p", "-c", str(target), MONITOR, *inputs)
    for node in (MONITOR.rpartition("/")[0], MONITOR):
        put("x", node, "#address-cells", "1")
        put("x", node, "#size-cells", "0")
    put("s", MONITOR, "compatible", "ti,ina3221")
    put("x", MONITOR, "reg", ADDRESS)
    for number, (node, label) in enumerate(zip(inputs, RAILS, strict=True)):
        put("u", node, "reg", str(number))
        put("s", node, "label", label)
        put("u", node, "shunt-resistor-micro-ohms", SHUNT_UOHM)
