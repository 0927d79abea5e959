"""The board's lease: one locked file, the same for all users of the board, that says who measures.

The lock (flock) is held by the conductor and, through the file that they inherit, by its workers
and sampler: a killed conductor takes them with it (child.py), but one that the kernel cannot end
yet, stuck in a driver, still disturbs, and so the board is not free. The kernel drops the lock
with the last of them; whatever the file then still says is of no account. What it says is for
people. All users of the board may write it, so it is data: no decision about the lock rests on it.
"""

import errno
import fcntl
import json
import os
import stat
import time

from bench.agent import board, identity
from bench.agent.clock import now_ns
from bench.agent.failure import one_line

FALLBACK = "lock"
RECORD_BYTES = 4096
NAME_CHARACTERS = 200
PATIENCE_S = 1.0
"""A lock of somebody who does not run (any more) is in a moment somebody's who does, or free:
processes are being ended, or somebody only asks."""
POLL_S = 0.02
UNKNOWN = "unknown"
LATEST_WALL_S = 2.0**32


class Lease(object):
    """The lock in the hands of this process, until ``release`` or its end."""

    def __init__(self, fd, job_id, owner):
        self.fd = fd
        self._record = {
            "job_id": one_line(job_id, NAME_CHARACTERS),
            "owner": one_line(owner, NAME_CHARACTERS),
            "user": board.user_name(os.getuid()),
            "since_wall_s": time.time(),
            "ends_ns": None,
        }
        self._record.update(identity.of(os.getpid()))
        self._write()

    def announce(self, left_s):
        """Tell for how many more seconds the board will be in use."""
        self._record["ends_ns"] = now_ns() + int(left_s * 1e9)
        self._write()

    def release(self):
        """Let others have the board."""
        # This process lives on: nobody is to take it for the holder.
        self._record = {}
        self._write()
        os.close(self.fd)

    def _write(self):
        data = json.dumps(self._record).encode("ascii")
        try:
            # One write of a fixed length: a reader never sees half of it.
            os.pwrite(self.fd, data.ljust(RECORD_BYTES), 0)
        except OSError:
            pass  # a full disk: the lock holds all the same


def take(wanted, work_dir, job_id, owner):
    """``(lease, None)``, or ``(None, busy)`` (see wire.py) when somebody else has it."""
    fd, busy = _lock(wanted, work_dir, fcntl.LOCK_EX)
    return (None, busy) if fd is None else (Lease(fd, job_id, owner), None)


def holder(wanted, work_dir):
    """Who has the lease: ``busy`` of wire.py, ``None`` when it is free."""
    fd, busy = _lock(wanted, work_dir, fcntl.LOCK_SH)
    if fd is not None:
        os.close(fd)
    return busy


def place(wanted, work_dir):
    """``{"path", "problem"}``: the file that is locked, and why it is not the wanted one."""
    fd, path, problem = _open(wanted, work_dir)
    os.close(fd)
    return {"path": path, "problem": problem}


def _lock(wanted, work_dir, operation):
    """``(locked open file, None)`` or ``(None, busy)``."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        fd, path, _ = _open(wanted, work_dir)
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
        except OSError:
            record, changed_s = _read(fd), os.fstat(fd).st_mtime
            os.close(fd)
            if _is_alive(record) or time.monotonic() > deadline:
                return None, _busy(record, changed_s)
        else:
            if _is_at(fd, path):
                return fd, None
            os.close(fd)  # somebody removed the file meanwhile: others lock its successor
        time.sleep(POLL_S)


def _open(wanted, work_dir):
    """``(open file, its path, problem)``; the fallback where the wanted one is not to be had."""
    path = os.path.join(work_dir, wanted)
    fallback = os.path.join(work_dir, FALLBACK)
    try:
        return _open_file(path), path, None
    except OSError as error:
        if path == fallback:
            raise
        problem = (
            "%s cannot be used (%s), so other users of this board may measure at the same time: "
            "set `lock` of this device to a file that all of them can write"
            % (path, error.strerror)
        )
        return _open_file(fallback), fallback, problem


def _open_file(path):
    """A regular file that all may write, made if need be; never by following a link."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        # Without O_CREAT: in a sticky folder the kernel (fs.protected_regular) refuses that for a
        # file of somebody else.
        fd = os.open(path, flags)
    except FileNotFoundError:
        fd = _make_file(path, flags)
    found = os.fstat(fd)
    # A second name could be that of any file, which would be written over.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file of its own")
    return fd


def _make_file(path, flags):
    previous = os.umask(0)
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return os.open(path, flags)  # somebody else made it just now
    finally:
        os.umask(previous)


def _is_at(fd, path):
    """Whether the open file is still the one of that name."""
    try:
        there = os.lstat(path)
    except OSError:
        return False
    mine = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _read(fd):
    """What the file says, empty when it says nothing that can be read."""
    try:
        record = json.loads(os.pread(fd, RECORD_BYTES, 0).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _is_alive(record):
    return type(record.get("pid")) is int and "start_ticks" in record and identity.is_alive(record)


def _busy(record, changed_s):
    """The ``busy`` answer, with plain values whatever the record holds."""
    return {
        "job_id": _name(record.get("job_id")),
        "pid": record["pid"] if type(record.get("pid")) is int else 0,
        "owner": _name(record.get("owner")),
        "user": _name(record.get("user")),
        "since_wall_s": _wall_s(record.get("since_wall_s"), changed_s),
        "left_s": _left_s(record),
    }


def _name(value):
    if not isinstance(value, str):
        return UNKNOWN
    printable = "".join(letter if letter.isprintable() else " " for letter in value)
    return one_line(printable, NAME_CHARACTERS) or UNKNOWN


def _wall_s(value, otherwise_s):
    is_time = type(value) in (int, float) and 0 <= value < LATEST_WALL_S
    return value if is_time else otherwise_s


def _left_s(record):
    """Seconds left by the holder's reckoning, ``None`` when it did not tell or does not run."""
    ends_ns = record.get("ends_ns")
    if type(ends_ns) is not int or not 0 <= ends_ns < 2**63 or not _is_alive(record):
        return None
    return max(0.0, (ends_ns - now_ns()) / 1e9)
