"""The driver's library: what is made of its answers. A double stands for the library."""

from __future__ import annotations

import ctypes
from typing import Any

import pynvml
import pytest
from nvml_stand_in import NOT_SUPPORTED, UUIDS, NvmlStandIn

from bench.agent import nvml
from bench.agent.sensors import nvml as sensor


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a double with these readings of the counter; nothing chooses a GPU."""
    for name in (nvml.VISIBLE, nvml.ORDER):
        monkeypatch.delenv(name, raising=False)

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
    assert found["channels"][0]["resolution_j"] == 1e-3
    assert library.open == 0


@pytest.mark.parametrize(
    ("visible", "handle"),
    [(None, 7), ("0", 7), ("1", 8), ("1,0", 8), (" 1 ", 8), (UUIDS[1], 8), (f"{UUIDS[1]},0", 8)],
)
def test_the_gpu_is_the_one_that_cuda_computes_on(
    driver: Any, monkeypatch: pytest.MonkeyPatch, visible: str | None, handle: int
) -> None:
    library = driver(1)
    library.uuids = UUIDS
    if visible is not None:
        monkeypatch.setenv(nvml.VISIBLE, visible)
    (found,) = sensor.describe("/", {})
    assert (found["problem"], library.asked) == (None, handle)


@pytest.mark.parametrize(
    ("visible", "words"),
    [
        ("", "hides every GPU"),
        ("-1", "hides every GPU"),
        ("2", "there is no such GPU"),
        ("GPU-8a56", "its whole UUID as `nvidia-smi -L` prints it"),
        ("MIG-8a56a4bc", "a GPU that NVML does not find"),
    ],
)
def test_a_gpu_that_nvml_cannot_be_asked_about_is_refused(
    driver: Any, monkeypatch: pytest.MonkeyPatch, visible: str, words: str
) -> None:
    library = driver(1)
    library.uuids = UUIDS
    monkeypatch.setenv(nvml.VISIBLE, visible)
    (found,) = sensor.describe("/", {})
    assert words in found["problem"]
    with pytest.raises(OSError, match=nvml.VISIBLE):
        sensor.open_sensor("/", {}, ["GPU"])
    assert nvml.used_bytes() is None
    assert library.open == 0


def test_a_number_by_another_order_is_refused_where_there_are_several_gpus(
    driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = driver(1, 1)
    monkeypatch.setenv(nvml.ORDER, "FASTEST_FIRST")
    (alone,) = sensor.describe("/", {})
    library.uuids = UUIDS
    (one_of_two,) = sensor.describe("/", {})
    assert alone["problem"] is None
    assert "CUDA_DEVICE_ORDER=FASTEST_FIRST" in one_of_two["problem"]


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


def test_power_of_the_instant_is_read_where_the_driver_tells_it(driver: Any) -> None:
    library = driver(None, None)
    library.architecture = nvml.AMPERE
    library.instant_mw = [60_000, 60_000, 61_500, None]
    (found,) = sensor.describe("/", {})
    assert "at instants" in found["note"] and found["problem"] is None
    power = sensor.open_sensor("/", {}, ["GPU"])
    # A failed read is a gap, and not what another function calls the power.
    assert [power.read() for _ in range(2)] == [[61.5], [None]]


def test_power_of_the_instant_in_another_type_is_not_guessed(driver: Any) -> None:
    library = driver(None)
    library.architecture = nvml.AMPERE
    library.instant_mw, library.power_mw = [60_000], [60_000]
    library.instant_type = pynvml.NVML_VALUE_TYPE_DOUBLE
    (found,) = sensor.describe("/", {})
    assert "last 1 s" in found["note"]


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
    theirs.nvmlLib.power_mw, theirs.nvmlLib.instant_mw = [61_500], [62_000]
    assert theirs.nvmlDeviceGetHandleByUUID(UUIDS[0]).value == 7
    handle = theirs.nvmlDeviceGetHandleByIndex(0)
    (instant,) = theirs.nvmlDeviceGetFieldValues(handle, [theirs.NVML_FI_DEV_POWER_INSTANT])
    told = (
        theirs.nvmlDeviceGetName(handle),
        theirs.nvmlSystemGetDriverVersion(),
        theirs.nvmlDeviceGetTotalEnergyConsumption(handle),
        theirs.nvmlDeviceGetPowerUsage(handle),
        instant.value.uiVal,
        theirs.nvmlDeviceGetArchitecture(handle),
        theirs.nvmlDeviceGetMemoryInfo(handle).used,
    )
    double = NvmlStandIn([5_250])
    double.power_mw, double.instant_mw = [61_500], [62_000]
    ours = nvml.Gpu(double)
    assert told == (
        ours.name(),
        ours.driver_version(),
        ours.energy_mj(),
        ours.power_mw(),
        ours.instant_power_mw(),
        ours.architecture(),
        ours.used_bytes(),
    )


def test_what_is_written_down_here_is_what_nvidias_package_has() -> None:
    assert nvml.AMPERE == pynvml.NVML_DEVICE_ARCH_AMPERE
    assert (nvml.SUCCESS, NOT_SUPPORTED) == (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert nvml.NAME_BYTES == pynvml.NVML_DEVICE_NAME_V2_BUFFER_SIZE
    assert nvml.POWER_INSTANT == pynvml.NVML_FI_DEV_POWER_INSTANT
    assert nvml.UNSIGNED_INT == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    for ours, theirs in (
        (nvml.Memory, pynvml.c_nvmlMemory_t),
        (nvml.Value, pynvml.c_nvmlValue_t),
        (nvml.FieldValue, pynvml.c_nvmlFieldValue_t),
    ):
        assert layout(ours) == layout(theirs)
        assert ctypes.sizeof(ours) == ctypes.sizeof(theirs)


def layout(structure: Any) -> list[tuple[str, int, int]]:
    return [
        (name, getattr(structure, name).offset, ctypes.sizeof(kind))
        for name, kind in structure._fields_
    ]
