"""The driver's library: what is made of its answers. A double stands for the library."""

from __future__ import annotations

import ctypes
from typing import Any

import pynvml
import pytest

from bench.agent import nvml
from bench.agent.sensors import nvml as sensor

NOT_SUPPORTED = 3


class NvmlStandIn:
    """A double of libnvidia-ml with the functions of NVIDIA's nvml.h that are used.

    NVIDIA's own package nvidia-ml-py is run on it, too (at the end of this file).
    ``energy_mj``: what the counter shows next; ``None``: it is not supported. ``power_mw`` and
    ``architecture`` likewise.
    """

    def __init__(self, energy_mj: list[int | None]) -> None:
        self.energy_mj = energy_mj
        self.power_mw: list[int | None] = [None] * 9
        self.architecture = 7
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

    def nvmlDeviceGetPowerUsage(self, handle: Any, value: Any) -> int:
        now_mw = self.power_mw.pop(0)
        if now_mw is None:
            return NOT_SUPPORTED
        value._obj.value = now_mw
        return 0

    def nvmlDeviceGetArchitecture(self, handle: Any, value: Any) -> int:
        value._obj.value = self.architecture
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


@pytest.mark.parametrize(("architecture", "words"), [(4, "at instants"), (8, "last 1 s")])
def test_without_a_counter_power_is_read_and_its_average_is_told(
    driver: Any, architecture: int, words: str
) -> None:
    library = driver(None, None)
    library.power_mw = [60_000, 60_000, 61_500, None]
    library.architecture = architecture
    (found,) = sensor.describe("/", {})
    assert (found["unit"], found["source"], found["problem"]) == ("W", "measured", None)
    assert found["lag_s"] is None  # a load step has to tell
    assert words in found["note"]
    power = sensor.open_sensor("/", {}, ["GPU"])
    assert [power.read() for _ in range(2)] == [[61.5], [None]]


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


@pytest.fixture
def nvidias_package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """NVIDIA's nvidia-ml-py, on a double in place of the driver's library."""

    def install(library: Any) -> Any:
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return pynvml

    return install


def test_nvidias_own_package_reads_the_same_of_the_double(nvidias_package: Any) -> None:
    """Names, order and types of the arguments are those that NVIDIA calls the library with."""
    theirs = nvidias_package(NvmlStandIn([5_250]))
    theirs.nvmlLib.power_mw = [61_500]
    handle = theirs.nvmlDeviceGetHandleByIndex(0)
    handle.value = 7
    told = (
        theirs.nvmlDeviceGetName(handle),
        theirs.nvmlSystemGetDriverVersion(),
        theirs.nvmlDeviceGetTotalEnergyConsumption(handle),
        theirs.nvmlDeviceGetPowerUsage(handle),
        theirs.nvmlDeviceGetArchitecture(handle),
        theirs.nvmlDeviceGetMemoryInfo(handle).used,
    )
    double = NvmlStandIn([5_250])
    double.power_mw = [61_500]
    ours = nvml.Gpu(double)
    assert told == (
        ours.name(),
        ours.driver_version(),
        ours.energy_mj(),
        ours.power_mw(),
        ours.architecture(),
        ours.used_bytes(),
    )


def test_what_is_written_down_here_is_what_nvidias_package_has() -> None:
    assert nvml.AMPERE == pynvml.NVML_DEVICE_ARCH_AMPERE
    assert (nvml.SUCCESS, NOT_SUPPORTED) == (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert nvml.NAME_BYTES == pynvml.NVML_DEVICE_NAME_V2_BUFFER_SIZE
    fields = [(name, ctypes.sizeof(kind)) for name, kind in nvml.Memory._fields_]
    theirs = [(name, ctypes.sizeof(kind)) for name, kind in pynvml.c_nvmlMemory_t._fields_]
    assert fields == theirs
