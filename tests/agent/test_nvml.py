"""The driver's library: what is made of its answers. A double stands for the library."""

from __future__ import annotations

from typing import Any

import pytest

from bench.agent import nvml
from bench.agent.sensors import nvml as sensor

NOT_SUPPORTED = 3


class NvmlStandIn:
    """A double of libnvidia-ml with the functions of NVIDIA's nvml.h that are used.

    Their names and ``nvmlMemory_t`` were compared with the package nvidia-ml-py 13.615 by hand.
    ``energy_mj``: what the counter shows next; ``None``: it is not supported.
    """

    def __init__(self, energy_mj: list[int | None]) -> None:
        self.energy_mj = energy_mj
        self.open = 0
        self.nvmlErrorString = _ErrorString()

    def nvmlInit_v2(self) -> int:
        self.open += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = 7
        return int(index.value)

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, size: Any) -> int:
        assert handle.value == 7
        buffer.value = b"NVIDIA Stand-in"
        return 0

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> int:
        buffer.value = b"580.95.05"
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:
        now_mj = self.energy_mj.pop(0)
        if now_mj is None:
            return NOT_SUPPORTED
        value._obj.value = now_mj
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.free, memory._obj.used = 8 << 30, 5 << 30, 3 << 30
        return 0


class _ErrorString:
    """``nvmlErrorString``, whose result type is set by its caller."""

    def __call__(self, code: int) -> bytes:
        return {NOT_SUPPORTED: b"Not Supported"}[code]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a double with these readings of the counter."""

    def install(*energy_mj: int | None) -> NvmlStandIn:
        library = NvmlStandIn(list(energy_mj))
        monkeypatch.setattr(nvml, "_load", lambda: library)
        return library

    return install


def test_the_counter_is_described_with_what_it_covers(driver: Any) -> None:
    library = driver(1)
    (found,) = sensor.describe("/", {})
    assert (found["unit"], found["source"], found["problem"]) == ("J", "counter", None)
    assert found["scope"] == "GPU (NVIDIA Stand-in)"
    assert library.open == 0


def test_a_gpu_that_does_not_count_says_so(driver: Any) -> None:
    driver(None)
    (found,) = sensor.describe("/", {})
    assert "Not Supported" in found["problem"]


def test_no_driver_is_no_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libno-such-driver.so.1")
    assert sensor.describe("/", {}) == []
    assert nvml.used_bytes() is None


def test_energy_is_joules_since_the_opening_and_a_failed_read_is_a_gap(driver: Any) -> None:
    driver(5_000, 5_000, 5_250, None, 6_000, 100, 350)
    counter = sensor.open_sensor("/", {}, ["GPU"])
    # After a restart of the driver nobody knows what was used before it.
    assert [counter.read() for _ in range(5)] == [[0.25], [None], [1.0], [None], [1.25]]


def test_memory_in_use_is_that_of_the_gpu(driver: Any) -> None:
    library = driver()
    assert nvml.used_bytes() == 3 << 30
    assert library.open == 0


def test_another_channel_is_refused(driver: Any) -> None:
    driver(1)
    with pytest.raises(ValueError, match="no channel"):
        sensor.open_sensor("/", {}, ["CPU"])
