"""ONNX Runtime's TensorRT execution provider.

It builds its engines when a session is made. They are kept in a folder per graph and precision of
the engine cache: ONNX Runtime tells engines apart by the names in a graph alone, and was seen to
take the engine of another network of the same structure (its issues 6455 and 32254).
"""

import os
import re

from bench.agent import engines as engine_files
from bench.agent.runtimes import onnxruntime
from bench.agent.runtimes.onnxruntime_gpu import CUDA_PROVIDER, DEVICE, ProviderRuntime

PROVIDER = "TensorrtExecutionProvider"
FOLDER_NAME = "%s-onnxruntime-%s.engine"
ON = "True"
"""How this provider's options are switched on: it refuses "1", which the CUDA provider takes."""


class TensorrtRuntime(ProviderRuntime):
    """The TensorRT provider; what it leaves is for the CUDA provider."""

    def provider_options(self, graph, options):
        precision = options.get("precision", "fp32")
        chosen = dict(DEVICE)
        if precision != "fp32":
            chosen["trt_%s_enable" % precision] = ON
        if options.get("cuda_graph"):
            chosen["trt_cuda_graph_enable"] = ON
        if options.get("engine_cache"):
            folder = os.path.join(options["engine_cache"], folder_name(graph, precision))
            os.makedirs(folder, mode=0o700, exist_ok=True)
            chosen.update(trt_engine_cache_enable=ON, trt_engine_cache_path=folder)
        return chosen

    def build(self, engine, graph, options):
        """See that the engines of ``graph`` are in the cache; ``{"cached"}``: whether they were
        before. Done in a process of its own, so that what the builder leaves is no model's."""
        chosen = self.provider_options(graph, options)
        session_options, _ = onnxruntime.settings(engine, options)
        before = engines(chosen)
        self.session(engine, graph, session_options, chosen)
        return {"cached": bool(before) and engines(chosen) == before}

    def build_s(self, graph, options):
        """First guess of the seconds that a build takes."""
        ending = folder_name(graph, options.get("precision", "fp32"))
        is_there = engine_files.has_any(options["engine_cache"], graph, ending)
        return 0.0 if is_there else engine_files.BUILD_S

    def engine_facts(self, chosen):
        found = engines(chosen)
        # Whether they had been there before this job, ``build`` tells.
        return {"engine": {"cached": bool(found), "engine_bytes": sum(found.values()) or None}}


def folder_name(graph, precision):
    """Name of the folder of a graph's engines in the engine cache."""
    stem = os.path.splitext(os.path.basename(graph))[0]
    return FOLDER_NAME % (re.sub(r"[^A-Za-z0-9_.]", "_", stem), precision)


def engines(chosen):
    """``{name: bytes}`` of the engines that are kept under these options of the provider."""
    folder = chosen.get("trt_engine_cache_path")
    if folder is None:
        return {}
    names = [name for name in os.listdir(folder) if name.endswith(".engine")]
    return {name: os.path.getsize(os.path.join(folder, name)) for name in names}


TENSORRT = TensorrtRuntime(
    PROVIDER, "libonnxruntime_providers_tensorrt.so", [(CUDA_PROVIDER, DEVICE)]
)
