"""A board over ssh: one connection for the whole run, made again when it is lost.

The board needs an ssh server, a POSIX login shell, ``cat``, ``stat``, ``tail``, ``mv`` and either
``openssl`` or ``sha256sum``; no sftp server, nothing to install.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import logging
import posixpath
import secrets
import threading
from collections.abc import Iterator, Sequence
from functools import partial

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from bench.device.remedies import remedy
from bench.device.retry import Interrupted, Retry
from bench.device.ssh_config import Hop, SshSettings, resolve
from bench.device.ssh_link import Link
from bench.device.ssh_program import RemoteProgram
from bench.device.transport import Completed, Push
from bench.errors import DeviceError, HangError, TransportError

__all__ = ["SshSettings", "SshTransport", "connect"]

# OpenSSH takes packets of 32 KiB, of which paramiko leaves 64 bytes for the header. Blocks of
# just that size are sent without being cut up, and need one copy less than larger ones.
BLOCK_BYTES = 32 * 1024 - 64
DAMAGED = 65

# $1 folder, $2 temporary name, $3 final name, $4 sha256, $5 how the temporary names of earlier
# attempts begin. When the link dies, cat sees the end of its input, the hash differs and the shell
# itself clears up: nothing half-written stays behind. A board that has not heard of the link's
# death still waits with what it has; the next attempt takes that away from it.
# openssl comes first because it uses the CPU's SHA instructions: 4x sha256sum on 100 MB.
_UPLOAD = f"""umask 077
LC_ALL=C; export LC_ALL
trap '' HUP PIPE
mkdir -p "$1" || exit 1
rm -f "$5"*
trap 'rm -f "$2"' EXIT
cat > "$2" || exit 1
sum=$({{ openssl dgst -sha256 -r 2>/dev/null || sha256sum; }} < "$2") || exit 1
case $sum in
"$4"*) mv -f "$2" "$3" ;;
*) exit {DAMAGED} ;;
esac"""
_END = 'kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1"'

_log = logging.getLogger(__name__)


def connect(settings: SshSettings, cancel: threading.Event | None = None) -> SshTransport:
    """Connect and log in to a board with a key, having checked its host key.

    This first connection is tried once; a later loss is made good for up to ``settings.retry_s``.
    When ``cancel`` is set, connecting and waiting for the link end at once.

    Raises:
        TrustError: the board's host key is not trusted, or it refuses the login.
        TransportError: it cannot be reached, or all that took longer than
            ``settings.connect_timeout_s``.
    """
    return SshTransport(settings, resolve(settings), cancel or threading.Event())


class SshTransport:
    """The :class:`~bench.device.transport.Transport` over ssh; made by :func:`connect`.

    ``board`` is the last server on the way.
    """

    def __init__(self, settings: SshSettings, hops: Sequence[Hop], cancel: threading.Event) -> None:
        self._settings = settings
        self._hops = hops
        self.board = hops[-1]
        self._where = self.board.address
        self._retry = Retry(settings.retry_s, cancel)
        self._silent = False
        self._closed = False
        self._link: Link | None = None
        self._connect()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: bytes = b"",
        repeatable: bool = False,
    ) -> Completed:
        """Run a program on the board (see :class:`~bench.device.transport.Transport`)."""
        if repeatable:
            return self._retry(lambda: self._run(self._open(), argv, timeout_s, stdin))
        # Until the program is asked for nothing has happened, so getting so far is repeatable.
        return self._run(self._retry(self._open), argv, timeout_s, stdin)

    def push(self, files: Sequence[Push]) -> int:
        """Put files on the board (see :class:`~bench.device.transport.Transport`)."""
        wanted = {file.remote: file for file in files}
        sizes = self._sizes(list(wanted)) if wanted else {}
        missing = [
            file for remote, file in wanted.items() if sizes.get(_path(remote)) != file.size_bytes()
        ]
        for file in missing:
            self._upload(file)
        return len(missing)

    def write(self, remote: str, data: bytes) -> None:
        """Write a small file (see :class:`~bench.device.transport.Transport`)."""
        self._upload(Push(data, remote, hashlib.sha256(data).hexdigest()))

    def read(self, remote: str, offset: int = 0) -> bytes:
        """Read a file (see :class:`~bench.device.transport.Transport`); after a loss it goes on
        from the byte that was reached."""
        data = bytearray()

        def read_on() -> None:
            start = f"+{offset + len(data) + 1}"
            program = self._start(self._open(), ["tail", "-c", start, _path(remote)])
            try:
                completed = program.finish(self._settings.command_timeout_s, renew=True)
            except TimeoutError as error:
                self._end(program)
                raise self._stalled(remote) from error
            finally:
                program.close()
                data.extend(program.output)
            if completed.status != 0:
                raise DeviceError(f"cannot read {remote} on {self._where}: {_last_line(completed)}")

        self._retry(read_on)
        return bytes(data)

    def quiet(self, silent: bool) -> None:
        """Switch keep-alive messages off or on; nothing else is sent unasked."""
        self._silent = silent
        if self._link is not None:
            self._link.quiet(silent)

    def close(self) -> None:
        """End the connection. May be called twice."""
        self._closed = True
        self._drop()

    def _connect(self) -> Link:
        self._drop()
        make = partial(Link, self._hops, self._settings.connect_timeout_s)
        self._link = self._retry.interruptible(make, Link.close)
        self._link.quiet(self._silent)
        return self._link

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _open(self) -> paramiko.Channel:
        """Open a channel. A connection that died while it was silent is made again, at once."""
        if self._closed:
            raise DeviceError(f"the connection to {self._where} has been closed")
        if self._link is not None and self._link.is_active():
            try:
                return self._session(self._link)
            except Interrupted:
                raise
            except TransportError as error:
                _log.info("%s; connecting again", error)
        return self._session(self._connect())

    def _session(self, link: Link) -> paramiko.Channel:
        ask = partial(link.board.open_session, timeout=self._settings.connect_timeout_s)
        try:
            return self._retry.interruptible(ask, paramiko.Channel.close)
        except ChannelException as error:
            raise DeviceError(f"{self._where} opens no session: {error}") from error
        except (SSHException, EOFError, OSError) as error:
            raise TransportError(f"the link to {self._where} was lost: {error}") from error

    def _start(self, channel: paramiko.Channel, argv: Sequence[str]) -> RemoteProgram:
        if any("\0" in argument for argument in argv):
            raise ValueError("an argument of a program cannot hold a zero byte")
        return RemoteProgram(channel, self._where, argv, self._settings.connect_timeout_s)

    def _run(
        self, channel: paramiko.Channel, argv: Sequence[str], timeout_s: float, stdin: bytes
    ) -> Completed:
        program = self._start(channel, argv)
        try:
            program.feed(stdin)
            return program.finish(timeout_s)
        except TimeoutError as error:
            self._end(program)
            raise HangError(
                f"{argv[0]} on {self._where} took longer than {timeout_s:g} s and was ended"
            ) from error
        finally:
            program.close()

    def _end(self, program: RemoteProgram) -> None:
        """End a program that took too long, with everything it started in its group."""
        if program.pid is None:
            return
        killer = self._start(self._open(), ["sh", "-c", _END, "sh", str(program.pid)])
        try:
            killer.finish(self._settings.connect_timeout_s)
        except TimeoutError:
            _log.info("%s did not end process %d", self._where, program.pid)
        finally:
            killer.close()

    def _sizes(self, remotes: Sequence[str]) -> dict[str, int]:
        """Return the sizes in bytes of those files that exist, in one round trip."""
        argv = ["stat", "-L", "-c", "%s %n", *(_path(remote) for remote in remotes)]
        timeout_s = self._settings.command_timeout_s
        listing = self.run(argv, timeout_s=timeout_s, repeatable=True).stdout
        sizes = {}
        for line in listing.decode("utf-8", "surrogateescape").splitlines():
            size, _, name = line.partition(" ")
            if size.isdigit():
                sizes[name] = int(size)
        return sizes

    def _upload(self, file: Push) -> None:
        path = _path(file.remote)
        own = f"{path}.{secrets.token_hex(4)}-"
        numbers = itertools.count(1)

        def attempt() -> None:
            temporary = f"{own}{next(numbers)}.part"
            names = [posixpath.dirname(path), temporary, path, file.sha256, own]
            with file.open() as stream:
                self._send(file.remote, ["sh", "-c", _UPLOAD, "sh", *names], stream)

        self._retry(attempt)

    def _send(self, remote: str, argv: Sequence[str], stream: io.BytesIO | io.FileIO) -> None:
        program = self._start(self._open(), argv)
        try:
            program.stream(_blocks(stream), self._settings.command_timeout_s)
            completed = program.finish(self._settings.command_timeout_s)
        except TimeoutError as error:
            self._end(program)
            raise self._stalled(remote) from error
        finally:
            program.close()
        if completed.status == DAMAGED:
            raise DeviceError(f"{remote} arrived damaged on {self._where} and was removed")
        if completed.status != 0:
            said = _last_line(completed)
            raise DeviceError(f"cannot write {remote} on {self._where}: {said}{remedy(said)}")

    def _stalled(self, remote: str) -> HangError:
        return HangError(
            f"{self._where} stood still for {self._settings.command_timeout_s:g} s at {remote}"
        )


def _path(remote: str) -> str:
    """Return the path so that no program takes it for an option."""
    return remote if remote.startswith("/") else f"./{remote}"


def _blocks(stream: io.BytesIO | io.FileIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _last_line(completed: Completed) -> str:
    lines = completed.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {completed.status}"
