"""A network cable that tests can pull: a TCP proxy in front of a real sshd.

::

    cable = Cable(server.host, server.port)      # or the fixture ``cable``: to the shared sshd
    cable.known_hosts(server, path)              # a known_hosts file that trusts it at cable.port
    cable.cut()        # connections are reset, new ones refused: a restarted router, a dead sshd
    cable.freeze()     # nothing passes and nobody is told: a pulled plug, a hung board
    cable.freeze(up=False)  # only what comes back is held up: commands arrive, answers do not
    cable.forget()     # as freeze, for the present connections only: a router that lost its table
    cable.slow(50_000) # bytes per second and direction
    cable.cut_after_up(n)   # cuts by itself once n more bytes have gone to the server
    cable.restore()    # as before; what was held up by freeze() goes on its way, none of it is lost
    cable.wait_for_up(n) / wait_for_down(n)  # until n more bytes have passed
    cable.close()

All methods may be called from any thread and in any order, so a test can draw faults at random.
``with cable.faulty(cable.freeze, seconds=3): ...`` restores the cable beside what is in the block.

Why not ``ip link set down`` in a network namespace as well: it differs in one thing, namely that
the kernel's TCP notices, since nothing is acknowledged any more. Here the proxy's kernel goes on
acknowledging, so TCP never notices and the program must do so by itself. That is the harder case,
and it needs no root.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sshd import Sshd, key_words

HOST = "127.0.0.1"
BLOCK_BYTES = 16384
LIMIT_S = 60.0
# Closing then resets the connection instead of ending it in order.
RESET = struct.pack("ii", 1, 0)


class _Direction:
    """One direction of all connections: whether it flows, how fast, and how much has passed."""

    def __init__(self) -> None:
        self.flows = threading.Event()
        self.flows.set()
        self.rate: float | None = None
        self.passed = 0
        self.end: int | None = None


class _Connection:
    """Two sockets and the threads that pass bytes on between them."""

    def __init__(
        self, client: socket.socket, server: socket.socket, cut: Callable[[], object]
    ) -> None:
        self._ends = (client, server)
        self._cut = cut
        self._forgotten = threading.Event()

    def run(self, up: _Direction, down: _Direction) -> None:
        """Pass bytes on in both directions until both have ended."""
        client, server = self._ends
        back = threading.Thread(target=self._pass_on, args=(server, client, down), daemon=True)
        back.start()
        self._pass_on(client, server, up)
        back.join()
        for end in self._ends:
            end.close()

    def forget(self) -> None:
        """Drop everything from now on."""
        self._forgotten.set()

    def reset(self) -> None:
        """Break the connection at both ends."""
        for end in self._ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                # Closing alone would not wake the threads that wait in recv() and sendall().
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, direction: _Direction) -> None:
        try:
            while block := source.recv(BLOCK_BYTES):
                if direction.end is not None and direction.passed + len(block) > direction.end:
                    self._cut()
                    return
                if direction.rate is not None:
                    time.sleep(len(block) / direction.rate)
                direction.flows.wait()
                if not self._forgotten.is_set():
                    target.sendall(block)
                    direction.passed += len(block)
            direction.flows.wait()
            if not self._forgotten.is_set():
                target.shutdown(socket.SHUT_WR)
        except OSError:
            direction.flows.wait()
            if not self._forgotten.is_set():
                self.reset()


class Cable:
    """Leads from ``port`` on this machine to a server. See the module's docstring."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._up, self._down = _Direction(), _Direction()
        self._connections: list[_Connection] = []
        self._lock = threading.Lock()
        # Bound for the cable's life, so that nobody else gets the port while it is cut.
        self._place = _bound(0)
        self.port = int(self._place.getsockname()[1])
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def up_bytes(self) -> int:
        """How many bytes have passed toward the server."""
        return self._up.passed

    @property
    def down_bytes(self) -> int:
        """How many bytes have come back from the server."""
        return self._down.passed

    def device(self, server: Sshd, known_hosts: Path, **changes: Any) -> dict[str, Any]:
        """What devices.yaml says of the server where the cable begins; writes ``known_hosts``."""
        trusted = str(self.known_hosts(server, known_hosts))
        return server.device(port=self.port, known_hosts=trusted, **changes)

    def known_hosts(self, server: Sshd, path: Path) -> Path:
        """Write a file that trusts the server where the cable begins, and return its path."""
        lines = [f"[{HOST}]:{self.port} {key_words(key)}\n" for key in server.host_keys]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                # Closing alone would not wake the thread that waits in accept().
                self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.reset()

    def cut_after_up(self, count: int) -> None:
        """Cut as soon as ``count`` more bytes have gone to the server, rounded down to blocks as
        they come."""
        self._up.end = self._up.passed + count

    def freeze(self, *, up: bool = True, down: bool = True) -> None:
        """Hold up what goes to the server (``up``), what comes from it (``down``), or both."""
        for direction, wanted in ((self._up, up), (self._down, down)):
            if wanted:
                direction.flows.clear()

    def forget(self) -> None:
        """Let the present connections lead nowhere, without a word to either end."""
        with self._lock:
            for connection in self._connections:
                connection.forget()

    def slow(self, bytes_per_s: float) -> None:
        """Limit each direction of each connection."""
        self._up.rate = self._down.rate = bytes_per_s

    def restore(self) -> None:
        """Let everything pass again at full speed."""
        for direction in (self._up, self._down):
            direction.rate = direction.end = None
            direction.flows.set()
        with self._lock:
            if self._listener is None:
                self._listen()

    @contextmanager
    def faulty(self, fault: Callable[[], object], *, seconds: float) -> Iterator[None]:
        """Call ``fault`` now and restore the cable after some seconds, whatever the body does."""
        fault()
        timer = threading.Timer(seconds, self.restore)
        timer.start()
        try:
            yield
        finally:
            timer.join()

    def wait_for_up(self, count: int) -> None:
        """Wait until ``count`` more bytes have passed toward the server."""
        _wait_for(self._up, count)

    def wait_for_down(self, count: int) -> None:
        """Wait until ``count`` more bytes have come back."""
        _wait_for(self._down, count)

    def close(self) -> None:
        """End everything. May be called twice."""
        self.cut()
        for direction in (self._up, self._down):
            direction.flows.set()
        self._place.close()

    def _listen(self) -> None:
        self._listener = _bound(self.port)
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            connection = _Connection(client, server, self.cut)
            with self._lock:
                if self._listener is not listener:
                    connection.reset()
                    return
                self._connections.append(connection)
            threading.Thread(
                target=connection.run, args=(self._up, self._down), daemon=True
            ).start()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((HOST, port))
    return made


def _wait_for(direction: _Direction, count: int) -> None:
    wanted = direction.passed + count
    deadline = time.monotonic() + LIMIT_S
    while direction.passed < wanted:
        if time.monotonic() > deadline:
            raise AssertionError(f"only {direction.passed} of {wanted} bytes have passed")
        time.sleep(0.002)
