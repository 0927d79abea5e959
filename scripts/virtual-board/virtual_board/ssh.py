"""The way into a board: its port on this host, the user's key, and its own key."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from virtual_board import BoardError, machine

HOST = "127.0.0.1"
USER = "root"
BOOTED = "the board is up"
BOOT_S = 300.0
BANNER_S = 10.0
COMMAND_S = 120.0


@dataclass(frozen=True, slots=True)
class Way:
    """``build`` holds the keys; ``folder`` takes the file that trusts the board."""

    build: Path
    folder: Path
    port: int

    @property
    def identity(self) -> Path:
        """The user's private key."""
        return self.build / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The file that trusts the board, and only this one."""
        return self.folder / "known_hosts"

    def write_known_hosts(self) -> None:
        """Trust the board's key at its port."""
        kind, key = (self.build / "host_key.pub").read_text(encoding="ascii").split()[:2]
        self.known_hosts.write_text(f"[{HOST}]:{self.port} {kind} {key}\n", encoding="ascii")

    def command(self, *words: str) -> list[str]:
        """Return the ssh command that runs ``words`` on the board, or a shell without any."""
        options = {
            "IdentityFile": self.identity,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "30",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "none", *given, "-p", str(self.port), f"{USER}@{HOST}", *words]

    def run(self, command: str, data: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the board.

        Raises:
            BoardError: the board does not answer.
        """
        text = None if data is None else data.decode("utf-8")
        try:
            done = subprocess.run(
                self.command(command),
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                capture_output=True,
                text=True,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BoardError("the board does not answer; is it hung, or its link off?") from None
        if done.returncode == 255:
            last = (done.stderr.strip().splitlines() or ["no connection"])[-1]
            raise BoardError(f"the board cannot be reached: {last}")
        return done


def wait_until_up(way: Way, folder: Path, *, booting: bool) -> None:
    """Wait until the board's ssh server answers.

    Args:
        way: how to reach it.
        folder: where QEMU runs.
        booting: it boots (else it wakes up and answers at once).

    Raises:
        BoardError: it does not come up; the message names the console output.
    """
    deadline = time.monotonic() + BOOT_S
    console = folder / machine.CONSOLE
    while time.monotonic() < deadline:
        # A connection that is tried before the board has its network is only tried again after
        # seconds.
        up = not booting or BOOTED in console.read_text(encoding="utf-8", errors="replace")
        if up and _greets(way.port):
            return
        time.sleep(0.05)
    raise BoardError(f"the board did not come up within {BOOT_S:.0f} s; see {console}")


def _greets(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=BANNER_S) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
