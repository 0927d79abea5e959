"""A double of the driver's management library."""

from __future__ import annotations

import ctypes
from typing import Any

from bench.agent import nvml

INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 2, 3, 6
UUIDS = ("GPU-8a56a4bc", "GPU-77e1b0aa")


class NvmlStandIn:
    """A double of libnvidia-ml with the functions of NVIDIA's nvml.h that are used.

    NVIDIA's own package nvidia-ml-py is run on it, too (agent/test_nvml.py).
    ``energy_mj``: what the counter shows next; ``None``: it is not supported. ``power_mw``,
    ``instant_mw`` and ``architecture`` likewise. ``uuids``: of its GPUs, by number; their handles
    are 7, 8, ... ``asked``: the handle that was asked last.
    """

    def __init__(self, energy_mj: list[int | None]) -> None:
        self.energy_mj = energy_mj
        self.power_mw: list[int | None] = [None] * 9
        self.instant_mw: list[int | None] = [None] * 9
        self.instant_type = nvml.UNSIGNED_INT
        self.uuids = UUIDS[:1]
        self.asked: int | None = None
        self.architecture = 7
        self.open = 0
        self.nvmlErrorString = _ErrorString()

    def nvmlInit_v2(self) -> int:
        self.open += 1
        return 0

    def nvmlShutdown(self) -> int:
        self.open -= 1
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.uuids)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        if index.value >= len(self.uuids):
            return INVALID_ARGUMENT
        handle._obj.value = 7 + index.value
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int:
        if uuid.value.decode() not in self.uuids:
            return NOT_FOUND
        handle._obj.value = 7 + self.uuids.index(uuid.value.decode())
        return 0

    def nvmlDeviceGetName(self, handle: Any, buffer: Any, size: Any) -> int:
        self.asked = handle.value
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

    def nvmlDeviceGetFieldValues(self, handle: Any, count: Any, values: Any) -> int:
        assert count.value == 1
        # NVIDIA's package hands over an array, we a single one.
        field = values._obj[0] if isinstance(values._obj, ctypes.Array) else values._obj
        assert (field.fieldId, field.scopeId) == (nvml.POWER_INSTANT, 0)
        now_mw = self.instant_mw.pop(0)
        field.nvmlReturn = NOT_SUPPORTED if now_mw is None else 0
        field.valueType, field.value.uiVal = self.instant_type, now_mw or 0
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
        words = {
            INVALID_ARGUMENT: b"Invalid Argument",
            NOT_SUPPORTED: b"Not Supported",
            NOT_FOUND: b"Not Found",
        }
        return words[code]
