"""Doubles of what needs a GPU: pycuda's driver, and engines of TensorRT that ONNX Runtime computes.

The double of pycuda keeps device memory as byte buffers by address. Sizes, types, freed memory and
the order on the stream are checked as a GPU would not: an asynchronous copy or inference is carried
out only when the stream is synchronised, and whatever is wrong raises. Its names are those of
pycuda's documentation ("Device interface"). TensorRT's names for named tensors are checked against
the real module; those for bindings by index (before 8.5) are in none that can be had here.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime

ALIGNED = 256
FIRST_ADDRESS = 1 << 33
"""Where the memory of the double begins; far from any address of this process."""


class Gpu:
    """Device memory, and what was done in which order."""

    def __init__(self) -> None:
        self.memory: dict[int, bytearray] = {}
        self.calls: list[str] = []
        self.queue: list[Callable[[], None]] = []
        self.clock_ms = 0.0
        self.pinned: list[Any] = []
        self.contexts = 0
        self._next = FIRST_ADDRESS

    def allocate(self, size: int) -> int:
        assert size > 0
        address = self._next
        self._next += -(-size // ALIGNED) * ALIGNED
        self.memory[address] = bytearray(size)
        return address

    def write(self, address: int, data: bytes) -> None:
        assert len(data) == len(self.memory[address]), "a copy of the wrong size"
        self.memory[address][:] = data

    def later(self, name: str, action: Callable[[], None]) -> None:
        """Queue work that takes a millisecond."""
        self.calls.append(name)

        def work() -> None:
            self.clock_ms += 1.0
            action()

        self.queue.append(work)

    def drain(self) -> None:
        waiting, self.queue = self.queue, []
        for work in waiting:
            work()


def pycuda_double(gpu: Gpu) -> dict[str, ModuleType]:
    """Modules ``pycuda`` and ``pycuda.driver`` over a double of a GPU."""
    driver = ModuleType("pycuda.driver")

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self._address: int | None = gpu.allocate(size)

        def __int__(self) -> int:
            assert self._address is not None, "freed memory"
            return self._address

        def free(self) -> None:
            del gpu.memory[int(self)]
            self._address = None

    class Pinned:
        """What owns the memory of a page-locked array."""

        def __init__(self) -> None:
            self.freed = False

        def free(self) -> None:
            assert not self.freed
            self.freed = True

    class PinnedArray(np.ndarray[Any, Any]):
        owner: Any = None

        @property
        def base(self) -> Any:
            return self.owner

    class Stream:
        handle = 77

        def synchronize(self) -> None:
            gpu.calls.append("synchronize")
            gpu.drain()

    class Event:
        def __init__(self) -> None:
            self.at_ms: float | None = None

        def record(self, stream: Stream) -> None:
            gpu.calls.append("record")
            gpu.queue.append(lambda: setattr(self, "at_ms", gpu.clock_ms))

        def time_till(self, other: Event) -> float:
            assert self.at_ms is not None and other.at_ms is not None, "not recorded yet"
            return other.at_ms - self.at_ms

    class Context:
        def push(self) -> None:
            gpu.contexts += 1

        def pop(self) -> None:
            gpu.contexts -= 1

        def detach(self) -> None:
            gpu.calls.append("detach")

    class Device:
        def __init__(self, number: int) -> None:
            assert number == 0

        def retain_primary_context(self) -> Context:
            return Context()

        def name(self) -> str:
            return "no GPU at all"

        def compute_capability(self) -> tuple[int, int]:
            return (8, 6)

    def pagelocked_empty(shape: Any, dtype: Any) -> Any:
        array = np.full(shape, 99, dtype).view(PinnedArray)
        array.owner = Pinned()
        gpu.pinned.append(array.owner)
        return array

    def memcpy_htod(memory: DeviceAllocation, array: Any) -> None:
        gpu.calls.append("upload")
        gpu.write(int(memory), array.tobytes())

    def memcpy_htod_async(memory: DeviceAllocation, array: Any, stream: Stream) -> None:
        assert isinstance(array, PinnedArray), "not page-locked"
        gpu.later("copy in", lambda: gpu.write(int(memory), array.tobytes()))

    def memcpy_dtoh_async(array: Any, memory: DeviceAllocation, stream: Stream) -> None:
        assert isinstance(array, PinnedArray), "not page-locked"

        def copy() -> None:
            data = gpu.memory[int(memory)]
            assert len(data) == array.nbytes, "a copy of the wrong size"
            array[...] = np.frombuffer(bytes(data), array.dtype).reshape(array.shape)

        gpu.later("copy out", copy)

    found = {
        "init": lambda: None,
        "Device": Device,
        "Stream": Stream,
        "Event": Event,
        "mem_alloc": DeviceAllocation,
        "mem_get_info": lambda: (
            8_000_000_000 - sum(len(data) for data in gpu.memory.values()),
            8_000_000_000,
        ),
        "pagelocked_empty": pagelocked_empty,
        "memcpy_htod": memcpy_htod,
        "memcpy_htod_async": memcpy_htod_async,
        "memcpy_dtoh_async": memcpy_dtoh_async,
    }
    for name, value in found.items():
        setattr(driver, name, value)
    package = ModuleType("pycuda")
    package.VERSION_TEXT = "2099.1"  # type: ignore[attr-defined]
    package.driver = driver  # type: ignore[attr-defined]
    return {"pycuda": package, "pycuda.driver": driver}


class _Computing:
    """Computes a graph on device memory, as the double of an engine."""

    def __init__(self, gpu: Gpu, graph: str, trt: Any) -> None:
        self.gpu = gpu
        self.trt = trt
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = {value.name: value for value in self.session.get_outputs()}
        self.names = [*self.inputs, *self.outputs]
        self.refuses = False

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple((self.inputs | self.outputs)[name].shape)

    def compute(self, addresses: dict[str, int]) -> None:
        feed = {
            name: np.frombuffer(bytes(self.gpu.memory[addresses[name]]), np.float32).reshape(
                self.shape(name)
            )
            for name in self.inputs
        }
        results = self.session.run(list(self.outputs), feed)
        for name, array in zip(self.outputs, results, strict=True):
            self.gpu.write(addresses[name], array.tobytes())


class NamedEngine(_Computing):
    """An engine since TensorRT 8.5: tensors by name."""

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self.trt.TensorIOMode
        return modes.INPUT if name in self.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self.trt.DataType.FLOAT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape(name)

    def create_execution_context(self) -> NamedContext:
        return NamedContext(self)


class NamedContext:
    """Its context."""

    def __init__(self, engine: NamedEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == 77
        if self._engine.refuses:
            return False
        addresses = dict(self._addresses)
        self._engine.gpu.later("compute", lambda: self._engine.compute(addresses))
        return True


class BindingEngine(_Computing):
    """An engine before TensorRT 8.5: bindings by index."""

    @property
    def num_bindings(self) -> int:
        return len(self.names)

    def get_binding_name(self, index: int) -> str:
        return self.names[index]

    def binding_is_input(self, index: int) -> bool:
        return self.names[index] in self.inputs

    def get_binding_shape(self, index: int) -> tuple[int, ...]:
        return self.shape(self.names[index])

    def get_binding_dtype(self, index: int) -> Any:
        return self.trt.DataType.FLOAT

    def create_execution_context(self) -> BindingContext:
        return BindingContext(self)


class BindingContext:
    """Its context."""

    def __init__(self, engine: BindingEngine) -> None:
        self._engine = engine

    def execute_async_v2(self, bindings: list[int], stream_handle: int) -> bool:
        assert stream_handle == 77
        if self._engine.refuses:
            return False
        addresses = dict(zip(self._engine.names, bindings, strict=True))
        self._engine.gpu.later("compute", lambda: self._engine.compute(addresses))
        return True
