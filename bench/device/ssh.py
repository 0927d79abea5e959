"""A board over ssh: one connection for the whole run.

The board needs an ssh server, a POSIX login shell, ``cat``, ``stat``, ``tail``, ``mv`` and either
``openssl`` or ``sha256sum``; no sftp server, nothing to install.
"""

from __future__ import annotations

import hashlib
import io
import logging
import posixpath
import secrets
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from bench.device.ssh_config import Hop, SshSettings, resolve
from bench.device.ssh_link import Link
from bench.device.ssh_program import RemoteProgram
from bench.device.transport import Completed, Push
from bench.errors import DeviceError, TransportError

__all__ = ["SshSettings", "SshTransport", "connect"]

KEEP_ALIVE_S = 15
# OpenSSH takes packets of 32 KiB, of which paramiko leaves 64 bytes for the header. Blocks of
# just that size are sent without being cut up, and need one copy less than larger ones.
BLOCK_BYTES = 32 * 1024 - 64
DAMAGED = 65

# $1 folder, $2 temporary name, $3 final name, $4 sha256. When the link dies, cat sees the end of
# its input, the hash differs and the shell itself clears up: nothing half-written stays behind.
# openssl comes first because it uses the CPU's SHA instructions: 4x sha256sum on 100 MB.
_UPLOAD = f"""umask 077
trap '' HUP PIPE
mkdir -p "$1" || exit 1
trap 'rm -f "$2"' EXIT
cat > "$2" || exit 1
sum=$({{ openssl dgst -sha256 -r 2>/dev/null || sha256sum; }} < "$2") || exit 1
case $sum in
"$4"*) mv -f "$2" "$3" ;;
*) exit {DAMAGED} ;;
esac"""
_END = 'kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1"'

_log = logging.getLogger(__name__)


def connect(settings: SshSettings) -> SshTransport:
    """Connect and log in to a board with a key, having checked its host key.

    Raises:
        TransportError: the board cannot be reached, its host key is not trusted, it refuses the
            login, or all that took longer than ``settings.connect_timeout_s``.
    """
    return SshTransport(settings, resolve(settings))


class SshTransport:
    """The :class:`~bench.device.transport.Transport` over ssh; made by :func:`connect`."""

    def __init__(self, settings: SshSettings, hops: Sequence[Hop]) -> None:
        self._settings = settings
        self._hops = hops
        self._where = hops[-1].address
        self._silent = False
        self._closed = False
        self._link: Link | None = None
        self._connect()

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> Completed:
        """Run a program on the board (see :class:`~bench.device.transport.Transport`)."""
        program = self._start(argv)
        try:
            program.feed(stdin)
            return program.finish(timeout_s)
        except TimeoutError as error:
            self._end(program)
            raise TransportError(
                f"{argv[0]} on {self._where} took longer than {timeout_s:g} s and was ended"
            ) from error
        finally:
            program.close()

    def push(self, files: Sequence[Push]) -> int:
        """Put files on the board (see :class:`~bench.device.transport.Transport`)."""
        wanted = {file.remote: file for file in files}
        sizes = self._sizes(list(wanted)) if wanted else {}
        missing = [
            file
            for remote, file in wanted.items()
            if sizes.get(_path(remote)) != file.local.stat().st_size
        ]
        for file in missing:
            with file.local.open("rb") as stream:
                self._upload(file.remote, stream, file.sha256)
        return len(missing)

    def write(self, remote: str, data: bytes) -> None:
        """Write a small file (see :class:`~bench.device.transport.Transport`)."""
        self._upload(remote, io.BytesIO(data), hashlib.sha256(data).hexdigest())

    def read(self, remote: str, offset: int = 0) -> bytes:
        """Read a file (see :class:`~bench.device.transport.Transport`)."""
        program = self._start(["tail", "-c", f"+{offset + 1}", _path(remote)])
        try:
            completed = program.finish(self._settings.command_timeout_s, renew=True)
        except TimeoutError as error:
            self._end(program)
            raise self._stalled(remote) from error
        finally:
            program.close()
        if completed.status != 0:
            raise DeviceError(f"cannot read {remote} on {self._where}: {_last_line(completed)}")
        return completed.stdout

    def quiet(self, silent: bool) -> None:
        """Switch keep-alive messages off or on; nothing else is sent unasked."""
        self._silent = silent
        if self._link is not None:
            self._link.keep_alive(0 if silent else KEEP_ALIVE_S)

    def close(self) -> None:
        """End the connection. May be called twice."""
        self._closed = True
        self._drop()

    def _connect(self) -> Link:
        self._drop()
        self._link = Link(self._hops, self._settings.connect_timeout_s)
        self.quiet(self._silent)
        return self._link

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _start(self, argv: Sequence[str]) -> RemoteProgram:
        if any("\0" in argument for argument in argv):
            raise ValueError("an argument of a program cannot hold a zero byte")
        return RemoteProgram(self._channel(), self._where, argv, self._settings.connect_timeout_s)

    def _channel(self) -> paramiko.Channel:
        """Open a channel. A connection that died while it was silent is made again, once.

        This is the only place that tries twice: here nothing has been started yet.
        """
        if self._closed:
            raise TransportError(f"the connection to {self._where} has been closed")
        if self._link is not None and self._link.is_active():
            try:
                return self._link.board.open_session(timeout=self._settings.connect_timeout_s)
            except ChannelException as error:
                raise TransportError(f"{self._where} opens no session: {error}") from error
            except (SSHException, EOFError, OSError) as error:
                _log.info("connection to %s is lost: %s", self._where, error)
        _log.info("connecting to %s again", self._where)
        link = self._connect()
        try:
            return link.board.open_session(timeout=self._settings.connect_timeout_s)
        except (SSHException, EOFError, OSError) as error:
            raise TransportError(f"{self._where} opens no session: {error}") from error

    def _end(self, program: RemoteProgram) -> None:
        """End a program that took too long, with everything it started in its group."""
        if program.pid is None:
            return
        killer = self._start(["sh", "-c", _END, "sh", str(program.pid)])
        try:
            killer.finish(self._settings.connect_timeout_s)
        except TimeoutError:
            _log.info("%s did not end process %d", self._where, program.pid)
        finally:
            killer.close()

    def _sizes(self, remotes: Sequence[str]) -> dict[str, int]:
        """Return the sizes in bytes of those files that exist, in one round trip."""
        argv = ["stat", "-L", "-c", "%s %n", *(_path(remote) for remote in remotes)]
        listing = self.run(argv, timeout_s=self._settings.command_timeout_s).stdout
        sizes = {}
        for line in listing.decode("utf-8", "surrogateescape").splitlines():
            size, _, name = line.partition(" ")
            if size.isdigit():
                sizes[name] = int(size)
        return sizes

    def _upload(self, remote: str, stream: BinaryIO, sha256: str) -> None:
        path = _path(remote)
        temporary = f"{path}.{secrets.token_hex(4)}.part"
        folder = posixpath.dirname(path)
        program = self._start(["sh", "-c", _UPLOAD, "sh", folder, temporary, path, sha256])
        try:
            program.stream(_blocks(stream), self._settings.command_timeout_s)
            completed = program.finish(self._settings.command_timeout_s)
        except TimeoutError as error:
            self._end(program)
            raise self._stalled(remote) from error
        finally:
            program.close()
        if completed.status == DAMAGED:
            raise TransportError(f"{remote} arrived damaged on {self._where} and was removed")
        if completed.status != 0:
            raise DeviceError(f"cannot write {remote} on {self._where}: {_last_line(completed)}")

    def _stalled(self, remote: str) -> TransportError:
        return TransportError(
            f"{self._where} stood still for {self._settings.command_timeout_s:g} s at {remote}"
        )


def _path(remote: str) -> str:
    """Return the path so that no program takes it for an option."""
    return remote if remote.startswith("/") else f"./{remote}"


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _last_line(completed: Completed) -> str:
    lines = completed.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {completed.status}"
