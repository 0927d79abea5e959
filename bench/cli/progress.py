"""Says on stderr how a run goes on: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from bench.records import Trial


class PlainProgress:
    """One line for every phase."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """Print what a device has begun and how long it is expected to take."""
        ending = f", about {expected_s:.0f} s" if expected_s is not None else ""
        self._console.print(f"{device}: {text}{ending}", markup=False, soft_wrap=True)

    def note(self, device: str, text: str) -> None:
        """Print something a person should know."""
        self._console.print(f"{device}: {text}" if device else text, markup=False, soft_wrap=True)

    def trial(self, trial: Trial) -> None:
        """Print that a case is done."""
        text = f"{trial.case.device}: stored {trial.case.label}"
        self._console.print(text, markup=False, soft_wrap=True)


class BarProgress:
    """A bar per device that runs by the *expected* time: the board itself is not asked.

    The screen is redrawn once a second, since drawing costs power and CPU time that the device
    under test may be paying for (``local`` is measured by the machine that draws).
    """

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.fields[device]}"),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._ends: dict[str, tuple[float, float]] = {}
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> BarProgress:
        self._bars.start()
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._ticker.join()
        self._bars.stop()

    def phase(self, device: str, text: str, expected_s: float | None = None) -> None:
        """Begin a bar of ``expected_s``, or one without an end."""
        now = time.monotonic()
        if device not in self._tasks:
            self._tasks[device] = self._bars.add_task(
                "", total=None, device=escape(device), left=""
            )
        if expected_s is None:
            self._ends.pop(device, None)
        else:
            self._ends[device] = (now, expected_s)
        self._bars.update(
            self._tasks[device], description=escape(text), total=expected_s, completed=0, left=""
        )
        self._bars.refresh()

    def note(self, device: str, text: str) -> None:
        """Print a line above the bars."""
        line = f"{device}: {text}" if device else text
        self._bars.console.print(line, markup=False, soft_wrap=True)

    def trial(self, trial: Trial) -> None:
        """Say that a case is done."""
        self.phase(trial.case.device, f"stored {trial.case.label}")

    def _tick(self) -> None:
        while not self._done.wait(1.0):
            for device, (start, expected_s) in list(self._ends.items()):
                passed = time.monotonic() - start
                left = max(expected_s - passed, 0.0)
                self._bars.update(
                    self._tasks[device],
                    completed=min(passed, expected_s),
                    left=f"about {left:.0f} s left (expected)",
                )
            self._bars.refresh()


def progress(console: Console) -> PlainProgress | BarProgress:
    """Return the progress display that suits where stderr goes."""
    return BarProgress(console) if console.is_terminal else PlainProgress(console)
