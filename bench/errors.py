"""Every error the project raises on purpose, split by what the caller does about it.

::

    BenchError
    ├ ConfigError        stop: names the file, the key and the fix
    ├ UnsupportedCase    skip the case and record why
    ├ ExportError        fail the case
    ├ DeviceError
    │ ├ TransportError   transient: retry, then go on with the next board
    │ │ ├ BusyLostError  lost while somebody else measured there: never power-cycle it
    │ │ └ TrustError     host key or login refused: a person must act, never retried
    │ │   └ HostKeyError the host key is unknown or another one than before
    │ ├ LeaseError       somebody else is measuring on the board: who, since when
    │ ├ AgentError       the board's own traceback
    │ │ └ DiedError      a job died: what is left of it can be measured again
    │ ├ HangError        the link holds, but the board does not get on: power-cycle it
    │ ├ PowerCycleError  what power-cycles a board failed
    │ ├ StateError       the board's state cannot be set or restored: stop this board
    │ ├ PlaceError       its labgrid place cannot be had: who holds it, or what is wrong there
    │ ├ MeterError       its external meter gives no readings: stop before measuring without it
    │ └ PowerError       the power sensor that was named cannot be used: stop likewise
    ├ SensorError        lost or implausible: the trial says so, never 0 W
    └ StoreError         schema, version, or a results folder that cannot be written

A measurement that is too noisy, throttled or too short is not an error: it is a status with
reasons (:class:`bench.records.status.Status`, :class:`bench.records.status.Reason`).

The message of every error is one line for the person at the terminal; long evidence (a remote
traceback, a builder's log) goes into :attr:`BenchError.detail`.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path


def suggest(name: str, known: Iterable[str]) -> str:
    """Return which known names come close to ``name``, or all of them, for an error message."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(match) for match in near) + "?"
    return "known: " + ", ".join(names) if names else "there is none"


class BenchError(Exception):
    """Root of the tree. ``str(error)`` is one clear line; ``detail`` holds longer evidence."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ConfigError(BenchError):
    """The command line, devices.yaml or a plan is wrong; nothing was measured."""


class UnsupportedCase(BenchError):
    """This board or runtime cannot do this case; the case is recorded as skipped."""


class ExportError(BenchError):
    """A model could not be turned into an artifact; its cases are recorded as failed."""


class DeviceError(BenchError):
    """A device could not be used."""


class TransportError(DeviceError):
    """The link failed: unreachable, or lost for longer than it was tried again."""


class BusyLostError(TransportError):
    """The link was lost while somebody else was measuring on the board."""


class TrustError(TransportError):
    """A host key is not trusted, or the board refuses the login; trying again changes nothing.

    ``fix``: the command that helps, which the message names as well; empty where none is known.
    """

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class HostKeyError(TrustError):
    """A server shows a host key that known_hosts does not have.

    ``address``: which server; ``kind`` and ``blob``: the key; ``fingerprint``: as OpenSSH prints
    it; ``name``: what known_hosts is to call the server; ``path``: the file that would hold the
    key; ``others``: lines (file, number) that hold another key under this very name, so that the
    server's key has changed.
    """

    def __init__(
        self,
        message: str,
        *,
        address: str,
        kind: str,
        blob: bytes,
        fingerprint: str,
        name: str,
        path: Path,
        others: tuple[tuple[Path, int], ...],
    ) -> None:
        super().__init__(message)
        self.address = address
        self.kind = kind
        self.blob = blob
        self.fingerprint = fingerprint
        self.name = name
        self.path = path
        self.others = others


class LeaseError(DeviceError):
    """Another job is measuring on the board; the message says whose, which and since when.

    ``job_id`` is that job; ``left_s``: how long it will still take, ``None`` where it cannot tell.
    """

    def __init__(self, message: str, *, job_id: str, left_s: float | None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.left_s = left_s


class AgentError(DeviceError):
    """The agent failed on the board; ``detail`` holds the board's own traceback."""


class DiedError(AgentError):
    """A job ended without its end being written down; what it had measured is kept."""


class HangError(DeviceError):
    """The link to a board holds, but a job or a program on it does not get on.

    ``job_id``: the job that does not, empty where it is another program.
    """

    def __init__(self, message: str, *, detail: str = "", job_id: str = "") -> None:
        super().__init__(message, detail=detail)
        self.job_id = job_id


class PowerCycleError(DeviceError):
    """The command that power-cycles a board could not be run, or failed."""


class StateError(DeviceError):
    """The board's power mode, clocks or governor could not be set or restored."""


class PowerError(DeviceError):
    """The power sensor or rails that were named cannot be used; nothing was measured."""


class PlaceError(DeviceError):
    """A labgrid place cannot be had: the coordinator, the place, or what it consists of."""


class MeterError(DeviceError):
    """The meter that devices.yaml names for a device gives no readings; nothing was measured."""


class SensorError(BenchError):
    """A power sensor is missing, was lost, or reads nonsense."""


class StoreError(BenchError):
    """A results folder cannot be read or written, or has another schema version."""
