"""A private OpenSSH server on 127.0.0.1 with throwaway keys; it runs as whoever starts it."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.agent.child import dies_with

HOST = "127.0.0.1"
START_S = 10.0
ATTEMPTS = 5
LOGIN_HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
"""Where programs start that a server runs for us, whatever our HOME says."""
HELP = (
    "no sshd found; install it with: sudo apt-get install -y --no-install-recommends openssh-server"
)


@dataclass(frozen=True)
class Sshd:
    """A running server: where it is and what lets one in.

    ``key`` is the user's private key, ``known_hosts`` a file that trusts this server, ``home`` the
    ``$HOME`` of what it runs (so that the user's own .bashrc has no say); programs nevertheless
    start in the user's real home folder, LOGIN_HOME.
    """

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    host_keys: tuple[Path, ...]
    home: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def known_name(self) -> str:
        """Its name in known_hosts."""
        return f"[{self.host}]:{self.port}"

    def device(self, **changes: Any) -> dict[str, Any]:
        """What devices.yaml says of it."""
        return {
            "transport": "ssh",
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "identity_file": str(self.key),
            "known_hosts": str(self.known_hosts),
            **changes,
        }

    def sessions(self) -> list[int]:
        """Process ids of the server's connections."""
        if self.process.poll() is not None:
            return []
        pid = self.process.pid
        listing = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(word) for word in listing.split()]

    def cut(self) -> None:
        """End all its connections from the server's side, without a word to the clients."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def commands(self) -> int:
        """How many sessions have been started so far."""
        return self.log.read_text(encoding="utf-8", errors="replace").count("Starting session")

    def stop(self) -> None:
        """End the server and its connections. May be called twice."""
        self.cut()
        # The server itself collects its ended connections, or they would stay as zombies.
        deadline = time.monotonic() + START_S
        while self.sessions() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.process.kill()
        self.process.wait()


def start_sshd(
    folder: Path, *, lines: Sequence[str] = (), host_key_types: Sequence[str] = ("ed25519",)
) -> Sshd:
    """Start a server whose files lie in ``folder``; ``lines`` go into its configuration first.

    Raises:
        RuntimeError: there is no sshd, or it does not start; the message says what to do.
    """
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError(HELP)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    home = folder / "home"
    home.mkdir(parents=True)
    key = make_key(folder / "user_key")
    host_keys = tuple(make_key(folder / f"host_{kind}", kind) for kind in host_key_types)
    shutil.copy(public(key), folder / "authorized_keys")
    for _ in range(ATTEMPTS):
        port = _free_port()
        text = _configuration(folder, port, host_keys, home, lines)
        (folder / "sshd_config").write_text(text, encoding="utf-8")
        log = folder / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                # Else it would outlive tests that are killed, or that ran out of time.
                preexec_fn=dies_with(os.getpid()),
            )
        if _answers(process, port):
            known_hosts = folder / "known_hosts"
            server = Sshd(
                HOST, port, getpass.getuser(), key, known_hosts, host_keys, home, log, process
            )
            known_hosts.write_text(known_hosts_lines(server), encoding="utf-8")
            return server
        process.kill()
        process.wait()
    raise RuntimeError(f"sshd did not start: {log.read_text(encoding='utf-8', errors='replace')}")


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair and return the private key's path."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def public(key: Path) -> Path:
    """The public half of a key."""
    return key.with_name(key.name + ".pub")


def key_words(key: Path) -> str:
    """Type and base64 text of a key's public half, as known_hosts wants them."""
    return " ".join(public(key).read_text(encoding="ascii").split()[:2])


def known_hosts_lines(server: Sshd) -> str:
    """Lines of known_hosts that trust a server."""
    return "".join(f"{server.known_name} {key_words(key)}\n" for key in server.host_keys)


def _configuration(
    folder: Path, port: int, host_keys: Sequence[Path], home: Path, lines: Sequence[str]
) -> str:
    return "\n".join(
        [
            # sshd takes the first value of each setting, so a test's lines win.
            *lines,
            f"ListenAddress {HOST}:{port}",
            *(f"HostKey {key}" for key in host_keys),
            f"AuthorizedKeysFile {folder / 'authorized_keys'}",
            f"SetEnv HOME={home}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "AllowTcpForwarding yes",
            "MaxSessions 50",
            "MaxStartups 100",
            "LogLevel VERBOSE",
            "PidFile none",
            "",
        ]
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            time.sleep(0.02)
    return False
