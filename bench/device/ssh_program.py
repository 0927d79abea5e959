"""One program running on a board through an ssh channel of its own."""

from __future__ import annotations

import re
import secrets
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import paramiko
from paramiko.ssh_exception import SSHException

from bench.device.ssh_connection import SIGNALLED
from bench.device.transport import Completed
from bench.errors import DeviceError, HangError, TransportError

READ_BYTES = 2**20
POLL_S = 0.5
NO_STATUS = -1

# What the login shell itself prints (a greeting in .bashrc) comes before the mark. The process
# id after it is the program's, because each exec keeps it; sshd made it the leader of a group.
_WRAPPER = r"""printf '\n%s %s\n' {mark} "$$"; printf '\n%s\n' {mark} >&2; exec "$@" """


class RemoteProgram:
    """A started program: its input is sent, then its end is waited for."""

    def __init__(
        self, channel: paramiko.Channel, where: str, argv: Sequence[str], answer_s: float
    ) -> None:
        """Start ``argv`` in a freshly opened channel.

        Args:
            channel: a session channel in which nothing has been started.
            where: the board, for messages.
            argv: the program and its arguments, passed on exactly.
            answer_s: how long the server may take to say that it starts it.

        Raises:
            TransportError: the server refused, fell silent or was lost.
        """
        self._channel = channel
        self._where = where
        self._name = argv[0]
        self._mark = f"bench-{secrets.token_hex(8)}"
        self._out = bytearray()
        self._err = bytearray()
        wrapper = _WRAPPER.format(mark=self._mark)
        words = " ".join(_quoted(word) for word in argv)
        command = f"exec sh -c {_quoted(wrapper)} sh {words}"
        link = channel.get_transport()
        try:
            with _closed_after(link, answer_s):
                channel.exec_command(command.encode("utf-8", "surrogateescape"))
        except (SSHException, EOFError, OSError) as error:
            if isinstance(error, SSHException) and link.is_active():
                raise TransportError(f"{where} did not start {self._name}: {error}") from error
            # The answer is lost; whether the program was started is not known.
            raise self._lost_link() from error

    @property
    def pid(self) -> int | None:
        """The program's process id on the board, once it is known to have started."""
        found = re.search(rb"\n%s (\d+)\n" % self._mark.encode(), self._out)
        return int(found[1]) if found else None

    @property
    def output(self) -> bytes:
        """What the program has written to its stdout so far."""
        mark = b"\n" + self._mark.encode()
        return bytes(self._out.partition(mark)[2].partition(b"\n")[2])

    def feed(self, data: bytes) -> None:
        """Send all of the input, beside the reading of output, and then its end."""

        def send() -> None:
            # A program may end without reading its input; what it answered counts.
            with suppress(OSError, EOFError, SSHException):
                self._channel.sendall(data)
                self._channel.shutdown_write()

        threading.Thread(target=send, daemon=True).start()

    def stream(self, blocks: Iterator[bytes], stall_s: float) -> None:
        """Send input block by block, and then its end; stops early when the program ends.

        Raises:
            HangError: nothing moved for ``stall_s``.
        """
        self._channel.settimeout(stall_s)
        try:
            for block in blocks:
                self._channel.sendall(block)
            self._channel.shutdown_write()
        except TimeoutError as error:
            raise HangError(f"{self._where} took no data for {stall_s:g} s") from error
        except (OSError, EOFError, SSHException):
            # The program or the link ended; which of them, finish() can tell.
            return

    def finish(self, timeout_s: float, *, renew: bool = False) -> Completed:
        """Collect the output until the program has ended.

        Args:
            timeout_s: how long it may take; with ``renew``, how long it may say nothing.
            renew: whether output starts the wait again.

        Raises:
            TimeoutError: it took too long; the program is still running.
            TransportError: the link was lost.
            DeviceError: the login shell did not start the program.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._channel.settimeout(max(0.01, min(POLL_S, deadline - time.monotonic())))
            try:
                block = self._channel.recv(READ_BYTES)
                if not block:
                    break
                self._out += block
                if renew:
                    deadline = time.monotonic() + timeout_s
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise
            while self._channel.recv_stderr_ready():
                self._err += self._channel.recv_stderr(READ_BYTES)
        while block := self._channel.recv_stderr(READ_BYTES):
            self._err += block
        if not self._channel.status_event.wait(max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        return self._completed()

    def close(self) -> None:
        """Give the channel back."""
        with suppress(OSError, EOFError, SSHException):
            self._channel.close()

    def _lost_link(self) -> TransportError:
        return TransportError(f"the link to {self._where} was lost while running {self._name}")

    def _completed(self) -> Completed:
        status = self._channel.recv_exit_status()
        if status == NO_STATUS:
            raise self._lost_link()
        if status <= SIGNALLED:
            status -= SIGNALLED
        if self.pid is None:
            said = (self._out + self._err).decode("utf-8", "replace").split("\n")
            first = next((line.strip() for line in said if line.strip()), "nothing")
            raise DeviceError(
                f"the login shell of {self._where} did not start {self._name}; it said: {first} "
                "(it needs a shell, and no forced command of authorized_keys or sshd_config)",
                detail="\n".join(said),
            )
        err = bytes(self._err.partition(b"\n%s\n" % self._mark.encode())[2])
        return Completed(status, self.output, err)


def _quoted(word: str) -> str:
    """Quote a word for the login shell, which may be fish: there a backslash in single quotes is
    special before another one, in double quotes it is as in a POSIX shell."""
    return shlex.quote(word).replace("\\", "'\"\\\\\"'")


@contextmanager
def _closed_after(transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    """Bound a call into paramiko that has no timeout: ending the transport makes it raise."""
    timer = threading.Timer(seconds, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
