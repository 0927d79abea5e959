"""A board of a labgrid place over ssh: the place is returned when the connection is closed."""

from __future__ import annotations

import threading
from pathlib import Path

from bench.device.labgrid.holding import HeldPlace
from bench.device.ssh import SshTransport
from bench.device.ssh_config import SshSettings, resolve


class PlaceTransport(SshTransport):
    """``place`` is the name of the place that was taken for it."""

    def __init__(self, settings: SshSettings, held: HeldPlace, cancel: threading.Event) -> None:
        self.place = held.name
        self._held = held
        super().__init__(settings, resolve(settings), cancel)

    def keep(self) -> HeldPlace:
        """Return a hold of the place that lasts beyond the connection."""
        return self._held.keep()

    def note_run(self, run: Path) -> None:
        """Note that a run starts a job at the place (see :meth:`HeldPlace.note_run`)."""
        self._held.note_run(run)

    def close(self) -> None:
        """End the connection and return the place. May be called twice."""
        super().close()
        self._held.release()
