"""What is left of a job, for ``status`` and for the host that waits: see wire.py."""

import os

from bench.agent import expectation, notes
from bench.agent.clock import now_ns


class Progress(object):
    """Expected seconds of the blocks that are left, and the next checkpoint.

    Whoever asks about the job reads it in the job's folder; whoever wants the board, in its lease.
    """

    def __init__(self, folder, lease, procedure, blocks):
        self._path = os.path.join(folder, notes.PROGRESS_FILE)
        self._lease = lease
        self._procedure = procedure
        self.replan(blocks)
        self._checkpoint_ns = self._next_checkpoint_ns(now_ns())

    def replan(self, blocks):
        """Take ``{block: expected seconds}`` for all that is left."""
        self._left = blocks
        self._lease.announce(self.remaining_s)

    @property
    def remaining_s(self):
        """Expected seconds until the end of the job."""
        return expectation.total_s(self._left, self._procedure)

    def expect(self, block, seconds):
        """Correct the expectation of a block that is not yet done."""
        self._left[block] = seconds
        self._write(now_ns())

    def end(self, block):
        """A block is done."""
        self._left.pop(block, None)
        self._write(now_ns())

    def drop(self, case):
        """Nothing more will be done for a case."""
        for block in [block for block in self._left if block[-1] == case]:
            del self._left[block]

    def checkpoint_ns(self, block):
        """When the announced checkpoint begins, if it would fall into ``block``; else ``None``."""
        due_ns = self._checkpoint_ns
        # What is not planned one by one is a round of the further laps.
        seconds = self._left.get(block, expectation.lap_s(self._procedure, block[-1:], {}))
        ends_ns = now_ns() + int(seconds * 1e9)
        return due_ns if due_ns is not None and ends_ns > due_ns else None

    def begin_checkpoint(self):
        """Announce the checkpoint after the one that begins now; when this one ends."""
        until_ns = now_ns() + int(expectation.CHECKPOINT_S * 1e9)
        self._checkpoint_ns = self._next_checkpoint_ns(until_ns)
        self._write(until_ns)
        return until_ns

    def _next_checkpoint_ns(self, from_ns):
        wait_s = expectation.until_checkpoint_s(self._left, self._procedure)
        return None if wait_s is None else from_ns + int(wait_s * 1e9)

    def _write(self, from_ns):
        """Write what is left, counted from a moment."""
        document = {"t_ns": from_ns, "remaining_s": self.remaining_s}
        self._lease.announce(self.remaining_s)
        try:
            notes.write(self._path, dict(document, checkpoint_ns=self._checkpoint_ns))
        except OSError:
            pass  # a full disk: whether the job can go on is for the journal to decide
