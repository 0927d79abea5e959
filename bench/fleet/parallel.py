"""The same for several devices at once, with Ctrl-C in mind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial

from bench.config.device_settings import DeviceSettings
from bench.fleet.observer import Observer


def on_devices(
    devices: Mapping[str, DeviceSettings],
    work: Callable[[str], None],
    cancel: threading.Event,
    observer: Observer,
) -> dict[str, Exception]:
    """Do ``work`` for the name of each device and return the errors of those that failed.

    Devices get threads of their own, except this machine, which comes alone after the others:
    work for them would disturb what is measured on it.

    The first Ctrl-C sets ``cancel`` and waits for the end of the work; the second one leaves at
    once with KeyboardInterrupt (the threads are daemons, and the boards go on by themselves).
    """
    failures: dict[str, Exception] = {}
    local = [name for name, device in devices.items() if device.transport == "local"]
    for group in ([name for name in devices if name not in local], *([one] for one in local)):
        if not cancel.is_set():
            tasks = {name: partial(work, name) for name in group}
            failures.update(_in_parallel(tasks, cancel, observer))
    return failures


def _in_parallel(
    tasks: Mapping[str, Callable[[], None]], cancel: threading.Event, observer: Observer
) -> dict[str, Exception]:
    failures: dict[str, Exception] = {}
    # Not Thread.join: interrupted once, it takes the thread for ended.
    ended = {name: threading.Event() for name in tasks}
    claimed: set[str] = set()
    claiming = threading.Lock()

    def claim(name: str) -> bool:
        with claiming:
            fresh = name not in claimed
            claimed.add(name)
        return fresh

    def attempt(name: str, task: Callable[[], None]) -> None:
        if not claim(name):
            return
        try:
            task()
        except Exception as error:  # every kind is handed to the caller, none is dropped
            failures[name] = error
        finally:
            ended[name].set()

    try:
        for name, task in tasks.items():
            threading.Thread(target=attempt, args=(name, task), daemon=True).start()
        for event in ended.values():
            event.wait()
    except KeyboardInterrupt:
        cancel.set()
        observer.note("", "stopping after the current round; press Ctrl-C again to leave")
        for name, event in ended.items():
            # What has not begun by now never will.
            if not claim(name):
                event.wait()
    return failures
