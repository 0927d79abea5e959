"""One virtual board: a folder with its disk and, while it is on, a QEMU process."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from virtual_board import BoardError, machine, places, ssh
from virtual_board.build.snapshot import free_port

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
OFF_S = 30.0
WAVEFORM_S = 10.0


class Board:
    """A board by name, on or off, or not there yet."""

    def __init__(self, name: str) -> None:
        """Args: ``name`` also names its folder and its entry in devices.yaml.

        Raises:
            BoardError: the name cannot be one.
        """
        if not NAME.fullmatch(name):
            raise BoardError(f"{name!r} cannot name a board; use letters, digits, '.', '-' and '_'")
        self.name = name
        self.folder = places.boards() / name
        self._disk = self.folder / "disk.qcow2"
        self._facts = self.folder / "board.json"

    @property
    def exists(self) -> bool:
        """Whether it has been up and not been forgotten since."""
        return self._facts.is_file()

    @property
    def pid(self) -> int | None:
        """Process id of its QEMU, ``None`` while it is off."""
        return machine.pid(self.folder, self._disk)

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 that leads to it."""
        return int(self._read_facts()["port"])

    @property
    def way(self) -> ssh.Way:
        """How to reach it."""
        return ssh.Way(Path(self._read_facts()["build"]), self.folder, self.port)

    @property
    def devices_file(self) -> Path:
        """A devices.yaml with this board alone."""
        return self.folder / "devices.yaml"

    def up(self, build: Path, port: int | None = None) -> None:
        """Switch it on: a new board wakes up from the snapshot, one that was off boots.

        Args:
            build: what a new board is made of.
            port: where it listens; its old port or a free one unless given.

        Raises:
            BoardError: it is on already or does not come up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if self.pid is not None:
                raise BoardError(f"{self.name} is on already (port {self.port})")
            fresh = not self.exists
            if fresh:
                self._make_disk(build)
                facts = {"build": str(build), "port": str(port or free_port())}
            else:
                facts = self._read_facts()
                facts["port"] = str(port or facts["port"])
                build = Path(facts["build"])
            (self.folder / machine.CONSOLE).unlink(missing_ok=True)
            snapshot = build / "warm.memory" if fresh else None
            port = int(facts["port"])
            machine.start(self.folder, build, self._disk, port, snapshot)
            self._facts.write_text(json.dumps(facts), encoding="utf-8")
            self.way.write_known_hosts()
            self.devices_file.write_text(self.devices_entry(), encoding="utf-8")
            ssh.wait_until_up(self.way, self.folder, booting=not fresh)
            self._awaken()

    def down(self) -> None:
        """Switch it off in good order.

        Raises:
            BoardError: it is off, or does not react.
        """
        pid = self._running()
        self.resume()
        self.set_link(up=True)
        self.way.run("poweroff")
        if not _gone(pid, OFF_S):
            raise BoardError(f"{self.name} is still on after {OFF_S:.0f} s; kill pulls the plug")

    def forget(self) -> None:
        """Remove everything of a board that is off."""
        shutil.rmtree(self.folder)

    def kill(self) -> None:
        """Pull the plug: what the board had not written to its disk is lost.

        Raises:
            BoardError: it is off.
        """
        pid = self._running()
        os.kill(pid, signal.SIGKILL)
        if not _gone(pid, OFF_S):
            raise BoardError(f"process {pid} does not end")

    def set_link(self, *, up: bool) -> None:
        """Plug its network cable in or out.

        Raises:
            BoardError: it is off.
        """
        self._running()
        machine.ask(self.folder, "set_link", {"name": "port", "up": up})

    def hang(self) -> None:
        """Stop all its CPUs, and its clock with them.

        Raises:
            BoardError: it is off.
        """
        self._running()
        machine.ask(self.folder, "stop")

    def resume(self) -> None:
        """Let it go on after ``hang``; nothing happens to a board that runs.

        Raises:
            BoardError: it is off.
        """
        self._running()
        machine.ask(self.folder, "cont")

    def play(self, waveform: str) -> None:
        """Play another waveform from now on; it stays for later boots.

        Raises:
            BoardError: it describes none, or the board is off or does not take it up.
        """
        check_waveform(waveform)
        self._running()
        if waveform.startswith("file:"):
            trace = Path(waveform.removeprefix("file:")).read_bytes()
            waveform = f"file:/etc/virtual-board/trace-{secrets.token_hex(4)}.csv"
            self._run(f"cat > {waveform.removeprefix('file:')}", trace)
        new = "/etc/virtual-board/waveform"
        tries = round(WAVEFORM_S / 0.1)
        done = self.way.run(
            f"echo {shlex.quote(waveform)} > {new}.new && mv {new}.new {new} && sync\n"
            f"for try in $(seq {tries}); do\n"
            f"  grep -qxF {shlex.quote(waveform)} /run/virtual-board/playing && exit 0\n"
            "  sleep 0.1\n"
            "done\n"
            "cat /run/virtual-board/playing; exit 1"
        )
        if done.returncode:
            said = done.stdout.strip() or "the injector does not run"
            raise BoardError(f"{self.name} does not play {waveform}: {said}")

    def read(self, path: str) -> bytes:
        """Return a file of the board.

        Raises:
            BoardError: the board is off, or there is no such file.
        """
        self._running()
        return self._run(f"cat {shlex.quote(path)}").encode()

    def devices_entry(self) -> str:
        """Return what devices.yaml must hold for bench to know it."""
        way = self.way
        return (
            "devices:\n"
            f"  {json.dumps(self.name)}:\n"
            "    transport: ssh\n"
            f"    host: {ssh.HOST}\n"
            f"    port: {way.port}\n"
            f"    user: {ssh.USER}\n"
            f"    identity_file: {json.dumps(str(way.identity))}\n"
            f"    known_hosts: {json.dumps(str(way.known_hosts))}\n"
            "    connect_timeout_s: 30\n"
        )

    def _awaken(self) -> None:
        """Set the clock (a snapshot has its old one) and let the injector begin."""
        start = "/run/virtual-board/start"
        seed = secrets.token_hex(64).encode()
        now_s = time.time()
        clock = f"date -u -s @{now_s:.3f} > /dev/null"
        self._run(f"{clock}; cat > {start}.new && mv {start}.new {start}", seed)

    def _run(self, command: str, data: bytes | None = None) -> str:
        done = self.way.run(command, data)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise BoardError(f"{self.name}: {last}")
        return done.stdout

    def _make_disk(self, build: Path) -> None:
        base = build / "warm.qcow2"
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base)]
        done = subprocess.run(
            [*command, str(self._disk)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BoardError(f"cannot make the disk: {done.stderr.strip()}")

    def _running(self) -> int:
        pid = self.pid
        if pid is None:
            known = "is off" if self.exists else "is not there"
            raise BoardError(f"{self.name} {known}; switch it on with: up {self.name}")
        return pid

    def _read_facts(self) -> dict[str, str]:
        try:
            facts: dict[str, str] = json.loads(self._facts.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BoardError(
                f"there is no board {self.name}; make it with: up {self.name}"
            ) from None
        return facts

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def check_waveform(text: str) -> None:
    """Check a waveform by the board's own rules (``on_board/waveforms.py``).

    Raises:
        BoardError: it describes none.
    """
    folder = str(places.ON_BOARD)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        importlib.import_module("waveforms").parse(text)
    except ValueError as error:
        raise BoardError(str(error)) from None


def every_board() -> list[Board]:
    """Return all boards that have been up and not been forgotten, by name."""
    folder = places.boards()
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = [Board(name) for name in names if NAME.fullmatch(name)]
    return [board for board in found if board.exists]


def _gone(pid: int, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False
