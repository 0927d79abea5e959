"""The journal: one record at a time, on the disk before anything else happens."""

import errno
import os

from bench.agent import wire

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class JournalLost(Exception):
    """Nothing more can be written down, so nothing more is measured; one line with the fix."""


class Journal(object):
    """Appends records to a new file; a record is durable when ``append`` returns."""

    def __init__(self, path):
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._fd = os.open(path, flags, 0o600)
        _fsync_folder(os.path.dirname(path))

    def append(self, record):
        """Write a JSON-able dict.

        Raises:
            JournalLost: that failed; the file ends with the record before.
        """
        line = wire.encode_record(record)
        size = os.fstat(self._fd).st_size
        try:
            _write_all(self._fd, line)
            os.fsync(self._fd)
        except OSError as error:
            self._cut(size)
            fix = ": free space on the board" if error.errno in NO_ROOM else ""
            raise JournalLost(
                "the journal %s cannot be written (%s); what was measured before is in it%s"
                % (self._path, error.strerror, fix)
            )

    def _cut(self, size):
        try:
            os.ftruncate(self._fd, size)
        except OSError:
            pass  # a reader leaves a line out that is not whole


def _write_all(fd, data):
    """``os.write`` until nothing is left: one call may write only a part."""
    while data:
        data = data[os.write(fd, data) :]


def _fsync_folder(folder):
    """Make the new file's name durable as well."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
