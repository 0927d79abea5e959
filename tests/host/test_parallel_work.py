"""Work on several devices at once: Ctrl-C while it begins."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest

from bench.config.device_settings import SshDevice
from bench.fleet.parallel import on_devices


def test_ctrl_c_while_threads_start_waits_for_those_that_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancel, began, done = threading.Event(), threading.Event(), []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if threading.current_thread() is threading.main_thread():
            assert began.wait(10)
            raise KeyboardInterrupt

    def work(name: str) -> None:
        began.set()
        assert cancel.wait(10), "it is told to stop"
        done.append(name)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    devices = {name: SshDevice(transport="ssh", host=name) for name in ("a", "b")}
    assert on_devices(devices, work, cancel, Mock()) == {}
    assert done == ["a"], "the one that began is waited for, the other never begins"
