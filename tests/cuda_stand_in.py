"""A double of ONNX Runtime with a GPU's provider: the real package, whose CPU poses as the GPU.

Everything but the words below is the real thing, so no name can be used that it lacks. What it
cannot show: that a GPU computes right, copies, captures a CUDA graph, or runs out of memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


class CudaStandIn:
    """The engine. ``left_out``: the provider does not load. ``on_cpu``: operators that it does not
    take. ``devices``: what every value was bound to, in order. ``asked``: providers of sessions."""

    provider = CUDA

    def __init__(self, *, left_out: bool = False, on_cpu: Sequence[str] = ()) -> None:
        self.left_out = left_out
        self.on_cpu = on_cpu
        self.devices: list[str] = []
        self.asked: list[Any] = []
        self.OrtValue = _Values(self.devices)
        self.SessionOptions = onnxruntime.SessionOptions
        self.__version__ = onnxruntime.__version__
        self.__file__ = str(onnxruntime.__file__)

    def get_available_providers(self) -> list[str]:
        return [self.provider, CPU]

    def require_options(self, chosen: dict[str, str]) -> None:
        """Raise where the real provider would for its options."""

    def InferenceSession(
        self, graph: str, options: Any, *, providers: list[Any], enable_fallback: int
    ) -> _Session:
        self.asked.append(providers)
        self.require_options(providers[0][1])
        real = onnxruntime.InferenceSession(
            graph, options, providers=[CPU], enable_fallback=enable_fallback
        )
        return _Session(self, real)


class TensorrtStandIn(CudaStandIn):
    """The same with the TensorRT provider, which takes only words for what is on or off."""

    provider = TENSORRT

    def require_options(self, chosen: dict[str, str]) -> None:
        for key, value in chosen.items():
            if key.endswith("_enable") and value not in ("True", "true", "False", "false"):
                raise RuntimeError(
                    f"[ERROR] [TensorRT] The value for the key '{key}' should be 'True' or 'False'"
                )


class _Values:
    """``OrtValue``: makes values on the CPU in place of the GPU."""

    update_inplace = onnxruntime.OrtValue.update_inplace

    def __init__(self, devices: list[str]) -> None:
        self._devices = devices

    def ortvalue_from_shape_and_type(self, shape: Any, dtype: Any, device: str, index: int) -> Any:
        self._devices.append(device)
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, "cpu", index)


class _Session:
    def __init__(self, engine: CudaStandIn, real: Any) -> None:
        self._engine = engine
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        return [CPU] if self._engine.left_out else [self._engine.provider, CPU]

    def get_provider_options(self) -> dict[str, Any]:
        return {self._engine.provider: dict(self._engine.asked[-1][0][1]), CPU: {}}

    def end_profiling(self) -> str:
        path = Path(self._real.end_profiling())
        events = json.loads(path.read_text())
        for event in events:
            said = event.get("args", {})
            if said.get("provider") and said.get("op_name") not in self._engine.on_cpu:
                said["provider"] = self._engine.provider
        path.write_text(json.dumps(events))
        return str(path)
