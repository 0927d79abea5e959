"""Says on stderr how a run goes on: a table of all boards in a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.cli.board_view import board_rows
from bench.records.trial import Trial
from bench.run.live import Boards

SPARE_LINES = 6
"""Lines of the terminal that the table leaves to the notes above it."""
LEAST_ROWS = 3
GIVING_WAY = ("last looked at", "last result")


class PlainProgress:
    """One line for every phase."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def planned(self, run_id: str, cases: Mapping[str, int]) -> None:
        """Nothing: each case is told when it is stored."""

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """Print what a device has begun and how long it is expected to take."""
        ending = f", about {expected_s:.0f} s" if expected_s is not None else ""
        self._console.print(f"{device}: {text}{ending}", markup=False, soft_wrap=True)

    def note(self, device: str, text: str) -> None:
        """Print something a person should know."""
        self._console.print(f"{device}: {text}" if device else text, markup=False, soft_wrap=True)

    def heard(self, device: str, text: str) -> None:
        """Nothing: what follows says it."""

    def ended(self, device: str, problem: str) -> None:
        """Print that nothing more is done with a device; why is said in the end."""
        if problem:
            self._console.print(f"{device}: given up", markup=False, soft_wrap=True)

    def trial(self, trial: Trial) -> None:
        """Print that a case is done."""
        text = f"{trial.case.device}: stored {trial.case.label}"
        self._console.print(text, markup=False, soft_wrap=True)


class LiveProgress:
    """A line per board with what it is *expected* to be doing: the board itself is not asked.

    The screen is redrawn once a second, since drawing costs power and CPU time that the device
    under test may be paying for (``local`` is measured by the machine that draws).
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._boards = Boards()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> LiveProgress:
        self._live.start()
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._ticker.join()
        self._live.stop()

    def planned(self, run_id: str, cases: Mapping[str, int]) -> None:
        """Show how many cases each device has."""
        self._boards.planned(run_id, cases)

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """Show what a device has begun."""
        self._boards.phase(device, text, expected_s)

    def note(self, device: str, text: str) -> None:
        """Print a line above the table."""
        line = f"{device}: {text}" if device else text
        self._console.print(line, markup=False, soft_wrap=True)

    def heard(self, device: str, text: str) -> None:
        """Show what a device said when it was looked at."""
        self._boards.heard(device, text)

    def ended(self, device: str, problem: str) -> None:
        """Show that nothing more is done with a device."""
        self._boards.ended(device, problem)

    def trial(self, trial: Trial) -> None:
        """Show the result of a case."""
        self._boards.trial(trial)

    def _tick(self) -> None:
        while not self._done.wait(1.0):
            rows = max(self._console.height - SPARE_LINES, LEAST_ROWS)
            self._live.update(
                boards_table(board_rows(self._boards.views(), time.time(), rows)), refresh=True
            )


def boards_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """Return the rows of :func:`bench.cli.board_view.board_rows` as a table; where the terminal is
    narrow the last columns give way."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in rows[0] if rows else ():
        # A column that may not wrap is not made narrower as long as others may.
        table.add_column(name, no_wrap=name not in GIVING_WAY)
    for row in rows:
        table.add_row(*(Text(text, no_wrap=True, overflow="ellipsis") for text in row.values()))
    return table


def progress(console: Console) -> PlainProgress | LiveProgress:
    """Return the progress display that suits where stderr goes."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)
