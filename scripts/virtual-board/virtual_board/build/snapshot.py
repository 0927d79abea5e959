"""The warm snapshot: a board that has booted and has read ONNX Runtime from its disk once."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from virtual_board import BoardError, machine, ssh
from virtual_board.build.commands import Log

WARM_UP = "python3 -c 'import onnxruntime' && sync"


def take(build: Path, log: Log) -> None:
    """Boot the build's board and write ``warm.qcow2`` (disk) and ``warm.memory`` into ``build``.

    Raises:
        BoardError: it does not boot, or ONNX Runtime does not run on it.
    """
    folder = build / "snapshot"
    folder.mkdir()
    disk = build / "warm.qcow2"
    qemu_img = ("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.img")
    log.run(*qemu_img, disk.name, cwd=build)
    port = free_port()
    machine.start(folder, build, disk, port, None)
    try:
        way = ssh.Way(build, folder, port)
        way.write_known_hosts()
        ssh.wait_until_up(way, folder, booting=True)
        done = way.run(WARM_UP)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise BoardError(f"ONNX Runtime does not run on the board: {last}")
        # What the ssh session leaves to do is not to be part of every board's first second.
        time.sleep(1.0)
        machine.save_memory(folder, build / "warm.memory")
    finally:
        machine.ask(folder, "quit")
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
    folder.rmdir()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
