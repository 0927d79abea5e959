"""The machine that QEMU emulates, and the line to QEMU itself (its machine protocol, QMP).

A snapshot only wakes up in exactly the machine that it was taken of, so there is one kind.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtual_board import BoardError

QEMU = "qemu-system-aarch64"
HARDWARE = ("-M", "virt", "-cpu", "cortex-a57", "-smp", "1", "-m", "640", "-accel", "tcg")
CLOCK = ("-icount", "shift=3,sleep=on")
"""The board's clock counts instructions, 8 ns each, while it computes, and follows ours while it
idles. So whatever else this host does leaves no holes in the board's time: it only passes more
slowly, and on a free host faster. It takes a single CPU: under such a clock QEMU emulates several
in turns, and each would be charged with the others' time."""

KERNEL_OPTIONS = "console=ttyAMA0 quiet mitigations=off"
ANSWER_S = 60.0
SOCKET = "qmp.sock"
PID = "pid"
CONSOLE = "console.log"
LOG = "qemu.log"


def start(folder: Path, build: Path, disk: Path, port: int | None, snapshot: Path | None) -> None:
    """Start QEMU in the background.

    Args:
        folder: where its socket, its process id and the board's console output go.
        build: the folder with kernel, initial ramdisk and device tree.
        disk: the board's qcow2 file.
        port: the port of 127.0.0.1 that leads to the board's ssh server.
        snapshot: memory to wake up with; ``None`` boots.

    Raises:
        BoardError: QEMU does not start, in its own words.
    """
    forward = "" if port is None else f",hostfwd=tcp:127.0.0.1:{port}-:22"
    command = [
        QEMU,
        *HARDWARE,
        *CLOCK,
        "-nodefaults",
        "-display",
        "none",
        "-daemonize",
        "-pidfile",
        PID,
    ]
    command += ["-D", LOG]  # with a log of its own, QEMU keeps its stderr, too
    command += ["-serial", f"file:{CONSOLE}", "-qmp", f"unix:{SOCKET},server=on,wait=off"]
    command += ["-kernel", str(build / "kernel"), "-initrd", str(build / "initrd")]
    command += ["-append", KERNEL_OPTIONS, "-dtb", str(build / "board.dtb")]
    command += ["-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,file={_escaped(disk)}"]
    command += ["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"]
    # restrict: nothing on the board reaches beyond it, only the forwarded port leads in.
    command += ["-netdev", f"user,id=cable,restrict=on{forward}"]
    command += ["-device", "virtio-net-pci,id=port,netdev=cable,romfile="]
    if snapshot is not None:
        command += ["-incoming", f"exec:cat {shlex.quote(str(snapshot))}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise BoardError(f"QEMU does not start: {lines[-1]}")


def base_device_tree(target: Path) -> list[str]:
    """Return the command that writes QEMU's own device tree of this machine to ``target``."""
    name, options, *rest = HARDWARE
    return [
        QEMU,
        name,
        f"{options},dumpdtb={_escaped(target)}",
        *rest,
        "-nodefaults",
        "-display",
        "none",
    ]


def pid(folder: Path, disk: Path) -> int | None:
    """Return the process id of the QEMU that runs from ``folder``, ``None`` when there is none."""
    try:
        number = int((folder / PID).read_text(encoding="ascii"))
        command = Path(f"/proc/{number}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    # The number may have been given to another process since.
    return number if _escaped(disk).encode() in command else None


def save_memory(folder: Path, target: Path) -> None:
    """Write the machine's memory to ``target``, for ``start`` to wake up with; it stops there.

    It must not be stopped before: it would wake up stopped.

    Raises:
        BoardError: QEMU could not write it.
    """
    ask(folder, "migrate-set-parameters", {"max-bandwidth": 1 << 34})
    ask(folder, "migrate", {"uri": f"exec:cat > {shlex.quote(str(target))}"})
    while (status := ask(folder, "query-migrate").get("status")) != "completed":
        if status in ("failed", "cancelled"):
            raise BoardError("QEMU could not write the snapshot; is the disk full?")
        time.sleep(0.1)


def ask(folder: Path, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give QEMU a command of its protocol and return the answer.

    Raises:
        BoardError: it refuses or does not answer.
    """
    try:
        with _connection(folder) as line:
            line.readline()  # its greeting
            for request in ({"execute": "qmp_capabilities"}, _request(command, arguments)):
                line.write(json.dumps(request).encode() + b"\n")
                line.flush()
                answer = _answer(line, command)
    except OSError as error:
        raise BoardError(f"QEMU does not answer: {error}") from None
    if "error" in answer:
        raise BoardError(f"QEMU refuses {command}: {answer['error']['desc']}")
    found = answer.get("return", {})
    return found if isinstance(found, dict) else {}


def _request(command: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
    return {"execute": command, "arguments": arguments or {}}


def _answer(line: Any, command: str) -> dict[str, Any]:
    """Return the next answer; events come in between, and after ``quit`` nothing at all."""
    while text := line.readline():
        document = json.loads(text)
        if isinstance(document, dict) and "event" not in document:
            return document
    return {"return": {}} if command == "quit" else {"error": {"desc": "it closed the line"}}


@contextlib.contextmanager
def _connection(folder: Path) -> Iterator[Any]:
    """Connect through the folder's descriptor: the path of a socket must be short."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(ANSWER_S)
            link.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            with link.makefile("rwb") as line:
                yield line
    finally:
        os.close(descriptor)


def _escaped(path: Path) -> str:
    """Write a path into an option of QEMU, where a comma ends a value unless it is doubled."""
    return str(path).replace(",", ",,")
