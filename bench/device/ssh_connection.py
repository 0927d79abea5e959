"""paramiko's transport, taught what it does not tell: signals, farewells and silence."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST
from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.ssh_exception import SSHException

RECEIVE_WINDOW_BYTES = 64 * 2**20
SIGNALLED = -1000
READ_S = 0.1
"""How long paramiko reads before it looks whether it is to end."""
IDLE_READ_S = 2.0


class _ListeningPacketizer(Packetizer):
    """Notes when the last message came in."""

    heard_s = 0.0

    def read_message(self) -> tuple[int, Message]:
        message = super().read_message()
        self.heard_s = time.monotonic()
        return message


class Connection(paramiko.Transport):
    """An ssh connection that knows why it ended.

    A channel whose program was ended by signal n has the exit status ``SIGNALLED - n``, which
    cannot be mistaken for paramiko's -1: no status came at all. Signals that the ssh protocol has
    no name for look like ``SIGHUP``.

    ``farewell`` is what the server said when it ended the connection, ``None`` when it did not.
    """

    _channel_handler_table: ClassVar[dict[int, Callable[..., Any]]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: lambda channel, message: _handle_request(channel, message),
    }

    def __init__(self, link: socket.socket | paramiko.Channel) -> None:
        self.farewell: str | None = None
        self._asking_since_s: float | None = None
        super().__init__(
            link,
            default_window_size=RECEIVE_WINDOW_BYTES,
            packetizer_class=_ListeningPacketizer,
        )

    def run(self) -> None:
        """Read messages until the connection ends; runs in a thread of its own."""
        # Closing a tunnel whose jump host is lost fails, and nobody can do anything about it.
        with suppress(SSHException, EOFError, OSError):
            super().run()

    def set_keepalive(self, interval: float) -> None:
        """Ask the server for a sign of life after each ``interval`` seconds in which nothing was
        sent; 0 asks nothing."""
        self._asking_since_s = time.monotonic() if interval else None
        self.packetizer.set_keepalive(interval, self._ask)

    def idle(self, idle: bool) -> None:
        """Look up from reading seldom (``True``), or as often as paramiko does by itself.

        What arrives, and the end of the connection, is seen at once in either case.
        """
        # It may have ended by itself.
        with suppress(OSError, AttributeError):
            self.sock.settimeout(IDLE_READ_S if idle else READ_S)

    def silence_s(self) -> float:
        """Return for how long the server has said nothing although it is asked; else 0."""
        asking_since_s = self._asking_since_s
        if asking_since_s is None or not isinstance(self.packetizer, _ListeningPacketizer):
            return 0.0
        return time.monotonic() - max(asking_since_s, self.packetizer.heard_s)

    def _ask(self) -> None:
        # paramiko's own keep-alive wants no answer, so it cannot tell a dead server from a mute.
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self._send_user_message(message)  # type: ignore[attr-defined]

    def _parse_disconnect(self, message: Message) -> None:
        message.get_int()
        self.farewell = message.get_text()


def _handle_request(channel: paramiko.Channel, message: Message) -> None:
    if message.get_text() == "exit-signal":
        message.get_boolean()
        name = "SIG" + message.get_text()
        known = signal.Signals.__members__
        channel.exit_status = SIGNALLED - known.get(name, signal.SIGHUP)
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()
    paramiko.Channel._handle_request(channel, message)  # type: ignore[attr-defined]
