"""The journal: one record at a time, on the disk before anything else happens."""

import os

from bench.agent import wire


class Journal(object):
    """Appends records to a file; a record is durable when ``append`` returns."""

    def __init__(self, path):
        is_new = not os.path.exists(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        if is_new:
            _fsync_folder(os.path.dirname(path))
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            # A line torn by a power cut must not swallow the next record.
            os.write(self._fd, b"\n")

    def append(self, record):
        """Write a JSON-able dict; raises OSError (the file is left whole) when that fails."""
        line = wire.encode_record(record)
        size = os.fstat(self._fd).st_size
        try:
            _write_all(self._fd, line)
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, size)
            raise


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
