"""ONNX Runtime on an NVIDIA GPU through one of its execution providers; here the CUDA provider.

ONNX Runtime prefers any result to none: a provider that its package lacks, whose libraries do not
load, or that takes no node of a graph is left out with a warning, and the CPU computes instead.
Here each of these ends the case. A few nodes on the CPU are normal (shapes, mostly) and recorded:
``nodes`` of the facts counts them by provider.
"""

import ctypes
import os

from bench.agent import nvml
from bench.agent.failure import Failure
from bench.agent.runtimes import onnxruntime
from bench.agent.runtimes.onnxruntime_binding import BoundSession
from bench.agent.runtimes.onnxruntime_profile import FirstRun, Profile

DEVICE = {"device_id": "0"}
CUDA_PROVIDER = "CUDAExecutionProvider"


class ProviderRuntime(object):
    """A runtime (see the package) that is one execution provider of ONNX Runtime.

    ``library``: of the provider, beside the package's own. ``others``: providers that take the
    nodes that this one leaves, in order. ``device``: where inputs and outputs are bound, in the
    words of ONNX Runtime.
    """

    PROBE = onnxruntime.PROBE
    ON_GPU = True

    def __init__(self, provider, library, others=(), device="cuda"):
        self._provider = provider
        self._library = library
        self._others = list(others)
        self._device = device

    def provider_options(self, graph, options):
        """Options of the provider for a graph; what is not named is left to it, and recorded."""
        return dict(DEVICE)

    def engine_facts(self, chosen):
        """What the provider built or found for a graph, with its options; nothing by default."""
        return {}

    def import_engine(self):
        """Import ONNX Runtime and keep it quiet."""
        return onnxruntime.import_engine()

    def complaint(self, facts):
        """Why the installed package cannot serve: it was built without the provider."""
        if self._provider in facts["providers"]:
            return None
        return (
            "the installed ONNX Runtime %s has no %s (it has: %s): install onnxruntime-gpu in its "
            "place; on a Jetson take NVIDIA's wheel for its JetPack"
            % (facts["version"], self._provider, ", ".join(facts["providers"]))
        )

    def open_model(self, engine, graph, options):
        """Load ``graph`` for inputs and outputs in the memory of the device.

        Raises:
            Failure: the session would not use the provider, or the engine refuses the model.
        """
        session_options, facts = onnxruntime.settings(engine, options)
        profile = Profile(session_options)
        chosen = self.provider_options(graph, options)
        before_bytes = nvml.used_bytes()
        session = self.session(engine, graph, session_options, chosen)
        facts.update(onnxruntime.described(engine, session))
        facts["provider_options"] = session.get_provider_options().get(self._provider, {})
        facts["cuda_graph"] = bool(options.get("cuda_graph"))
        run = BoundSession(engine, session, self._device, fixed=facts["cuda_graph"])

        def finish(found):
            """Add what only the first run shows: all memory of the GPU is in use after it."""
            facts.update(found)
            self._require_nodes(found["nodes"])
            after_bytes = nvml.used_bytes()
            is_known = None not in (before_bytes, after_bytes)
            facts["gpu_memory_bytes"] = after_bytes - before_bytes if is_known else None
            facts.update(self.engine_facts(chosen))

        return FirstRun(run, session, profile, finish), facts

    def session(self, engine, graph, session_options, chosen):
        """A session with the provider; raises Failure where another would stand in for it."""
        found = {"version": engine.__version__, "providers": engine.get_available_providers()}
        problem = self.complaint(found)
        if problem is not None:
            raise Failure("unsupported", problem)
        providers = [(self._provider, chosen)] + self._others + [onnxruntime.CPU]
        try:
            session = engine.InferenceSession(
                graph, session_options, providers=providers, enable_fallback=0
            )
        except Exception as error:
            # What the engine says of a missing library is a path in its own sources.
            missing = self._missing_library(engine)
            if missing is None:
                raise
            raise Failure("load", missing, str(error))
        session.disable_fallback()
        if self._provider not in session.get_providers():
            raise Failure("load", self._missing_library(engine) or self._left_out())
        return session

    def _missing_library(self, engine):
        """Which library the provider lacks, in one line; ``None`` if it is not that."""
        path = os.path.join(os.path.dirname(engine.__file__), "capi", self._library)
        if not os.path.exists(path):
            return None
        try:
            ctypes.CDLL(path)
        except OSError as error:
            # By itself it also lacks symbols of what the engine loads before it.
            if "cannot open shared object" not in str(error):
                return None
            return (
                "ONNX Runtime %s cannot set up %s: %s; install the CUDA, cuDNN and TensorRT that "
                "this version was built for, or set LD_LIBRARY_PATH"
                % (engine.__version__, self._provider, error)
            )
        return None

    def _left_out(self):
        return (
            "ONNX Runtime left %s out and would have used the CPU: no GPU, or a driver older than "
            "its CUDA; its own words are in the log" % self._provider
        )

    def _require_nodes(self, nodes):
        if nodes.get(self._provider):
            return
        where = ", ".join("%d on %s" % (count, name) for name, count in sorted(nodes.items()))
        text = "no node of the graph runs on %s (%s): it supports none of these operators"
        raise Failure("unsupported", text % (self._provider, where))


class CudaRuntime(ProviderRuntime):
    """The CUDA provider."""

    def provider_options(self, graph, options):
        if options.get("precision") == "fp16":
            text = (
                "ONNX Runtime's CUDA provider computes in the precision of the graph, not in fp16"
            )
            raise Failure("unsupported", text)
        chosen = dict(DEVICE)
        if options.get("cuda_graph"):
            chosen["enable_cuda_graph"] = "1"
        return chosen


CUDA = CudaRuntime(CUDA_PROVIDER, "libonnxruntime_providers_cuda.so")
