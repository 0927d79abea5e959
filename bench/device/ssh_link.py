"""An authenticated ssh connection to a board, through jump hosts where there are any."""

from __future__ import annotations

import logging
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer, SSHException

from bench.device.host_keys import (
    check_host_key,
    entries_for,
    preferred_algorithms,
    read_known_hosts,
)
from bench.device.ssh_auth import authenticate
from bench.device.ssh_config import Hop
from bench.device.ssh_connection import Connection
from bench.errors import TransportError

# AES-GCM needs no separate MAC and runs on the CPU's AES instructions on both sides.
FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
FAST_KEX = ("curve25519-sha256@libssh.org",)
SHORTEST_WAIT_S = 0.05
# A server that is asked this often and has said nothing for so long is lost. TCP alone would need
# minutes to notice, and would never notice a server that hangs or what is behind a jump host.
KEEP_ALIVE_S = 10.0
DEAD_AFTER_S = 30.0
WATCH_S = 0.5
# What a silent link need not notice for so long; many of them must not keep the host awake.
SILENT_WATCH_S = 5.0

# Everything that goes wrong becomes one TransportError; paramiko's own tracebacks would only
# repeat it on the terminal.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Link:
    """The chain of connections to one board; the last of them is the board's own.

    A link that is not silent notices within ``DEAD_AFTER_S`` when nothing comes back any more, and
    closes itself: whatever waits for it then fails.
    """

    def __init__(self, hops: Sequence[Hop], timeout_s: float) -> None:
        """Connect and log in to each hop in turn.

        Raises:
            TransportError: unreachable, host key not trusted, login refused, or ``timeout_s``
                passed before all of it was done.
        """
        self._chain: list[Connection] = []
        self._socket: socket.socket | None = None
        self._proxy: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self._watch_s = WATCH_S
        deadline = time.monotonic() + timeout_s
        try:
            for hop in hops:
                self._chain.append(_negotiate(self._reach(hop, deadline), hop, deadline))
                authenticate(self._chain[-1], hop, deadline)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def board(self) -> Connection:
        """The connection to the board itself."""
        return self._chain[-1]

    def is_active(self) -> bool:
        """Say whether no end of the chain is known to be lost."""
        return all(connection.is_active() for connection in self._chain)

    def quiet(self, silent: bool) -> None:
        """Send nothing unasked (``True``), or ask for signs of life (``False``)."""
        self._watch_s = SILENT_WATCH_S if silent else WATCH_S
        for connection in self._chain:
            connection.set_keepalive(0.0 if silent else KEEP_ALIVE_S)
            connection.idle(silent)

    def close(self) -> None:
        """End all connections of the chain."""
        self._closed.set()
        if self._socket is not None:
            # First of all, since it wakes whoever is blocked in reading or writing.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        for connection in reversed(self._chain):
            # One inside a tunnel cannot end in order any more.
            with suppress(SSHException, EOFError, OSError):
                connection.close()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait()

    def _watch(self) -> None:
        while not self._closed.wait(self._watch_s):
            if any(connection.silence_s() > DEAD_AFTER_S for connection in self._chain):
                self.close()

    def _reach(self, hop: Hop, deadline: float) -> socket.socket | paramiko.Channel:
        if self._chain:
            return _tunnel(self.board, hop, deadline)
        if hop.proxy_command is not None:
            self._socket, self._proxy = _start_proxy(hop.proxy_command)
        else:
            self._socket = _connect(hop, deadline)
        return self._socket


def _remaining(deadline: float) -> float:
    return max(SHORTEST_WAIT_S, deadline - time.monotonic())


def _connect(hop: Hop, deadline: float) -> socket.socket:
    """Open a TCP connection to the first address of the host that takes one."""
    trouble = "no address"
    for address in _addresses(hop, deadline):
        try:
            connection = socket.create_connection(address, timeout=_remaining(deadline))
        except TimeoutError:
            trouble = "no answer in time"
            continue
        except OSError as error:
            trouble = error.strerror or str(error)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise TransportError(
        f"cannot reach {hop.address}: {trouble}; is the board on, and is its ssh server running?"
    )


def _addresses(hop: Hop, deadline: float) -> list[tuple[Any, ...]]:
    """Resolve the host name. The resolver has no timeout of its own, hence the thread."""
    answers: queue.SimpleQueue[list[tuple[Any, ...]] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)
            answers.put([item[4][:2] for item in found])
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_remaining(deadline))
    except queue.Empty:
        answer = OSError("the name server did not answer in time")
    if isinstance(answer, OSError):
        raise TransportError(
            f"cannot find the host {hop.host}: {answer.strerror or answer}; check how it is "
            "spelt, or give its number"
        ) from answer
    return answer


def _start_proxy(command: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a ProxyCommand and return our end of its stdin and stdout."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return ours, process


def _tunnel(through: Connection, hop: Hop, deadline: float) -> paramiko.Channel:
    try:
        return through.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=_remaining(deadline)
        )
    except (SSHException, EOFError, OSError) as error:
        raise TransportError(f"the jump host cannot reach {hop.address}: {error}") from error


def _negotiate(link: socket.socket | paramiko.Channel, hop: Hop, deadline: float) -> Connection:
    """Agree on keys with the server and check that it is the one we know."""
    known = read_known_hosts(hop.known_hosts)
    connection = Connection(link)
    connection.banner_timeout = connection.handshake_timeout = _remaining(deadline)
    options = connection.get_security_options()
    options.ciphers = _first(FAST_CIPHERS, options.ciphers)
    options.kex = _first(FAST_KEX, options.kex)
    options.key_types = preferred_algorithms(entries_for(hop, known), options.key_types)
    try:
        connection.start_client(timeout=_remaining(deadline))
        # start_client also returns when its time is up; then this raises.
        key = connection.get_remote_server_key()
        check_host_key(hop, known, key.get_name(), key.asbytes())
    except (SSHException, EOFError, OSError) as error:
        connection.close()
        raise TransportError(_why_not_negotiated(hop, connection, deadline, error)) from error
    except TransportError:
        connection.close()
        raise
    return connection


def _first(wanted: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Return ``offered`` with those of ``wanted`` that it holds at the front."""
    front = [name for name in wanted if name in offered]
    return front + [name for name in offered if name not in front]


def _why_not_negotiated(hop: Hop, connection: Connection, deadline: float, error: Exception) -> str:
    if isinstance(error, IncompatiblePeer):
        return f"{hop.address} and this program share no ssh algorithm: {error}"
    if time.monotonic() >= deadline - SHORTEST_WAIT_S:
        stage = "is no ssh server, or it" if not connection.remote_version else "answered, but"
        return f"{hop.address} {stage} did not finish connecting in time"
    if not connection.remote_version:
        source = "its ProxyCommand" if hop.proxy_command else "it"
        return f"{hop.address} is no ssh server: {source} closed the connection or sent no banner"
    return f"{hop.address} ended the connection while agreeing on keys: {error}"
