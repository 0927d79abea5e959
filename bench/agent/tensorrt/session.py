"""What a worker keeps of TensorRT: the GPU, and the engines that run on it."""

import atexit
import gc
import os
import time

from bench.agent import engines
from bench.agent.failure import Failure
from bench.agent.tensorrt import bound, build, cuda, layers
from bench.agent.tensorrt.execution import Execution
from bench.agent.tensorrt.library import LOG, out_of_memory, refused, trt


class Session(object):
    """TensorRT with the board's GPU. One engine per graph, GPU, TensorRT and builder options."""

    def __init__(self):
        self.device = cuda.open_device()
        self._runtime = trt.Runtime(LOG)
        self._open = []
        atexit.register(self.close)

    def prepare(self, graph, options, refused=None):
        """``(plan, facts)`` of the engine of a graph: from the cache, or built now. ``refused``
        says why the one in the cache is not to be used.

        Raises:
            Failure: it cannot be built; see build.py.
        """
        wanted, facts = self._wanted(graph, options)
        cache = engines.Cache(options["engine_cache"])
        name = engines.stem(graph) + facts["key"]
        plan, note, problem = cache.find(name)
        if note is not None and refused is None:
            return plan, dict(facts, cached=True, build_s=note["build_s"], log=note["log"])
        plan, build_s = self._build(graph, options, wanted, cache)
        problems = ["W: %s: built again" % why for why in (problem, refused) if why is not None]
        built = {"build_s": build_s, "log": problems + LOG.lines()}
        cache.save(name, plan, dict(facts, **built))
        return plan, dict(facts, cached=False, **built)

    def open(self, graph, options):
        """``(execution, facts)``: the engine with its memory, ready to run."""
        plan, facts = self.prepare(graph, options)
        free_before = self.device.memory()[0]
        engine = self._deserialized(plan)
        if engine is None and facts["cached"] and not out_of_memory():
            why = "TensorRT refuses the cached engine (%s)" % LOG.last_error()
            plan, facts = self.prepare(graph, options, why)
            # What the builder has left in memory is no model's.
            free_before = self.device.memory()[0]
            engine = self._deserialized(plan)
        if engine is None:
            raise refused("loaded", "TensorRT refuses the engine that it has just built: %s")
        device = self.device
        if options.get("cuda_graph") and not device.has_graphs:
            device = cuda.open_device(with_graphs=True)
        execution = Execution(device, engine, bound.read(options.get("bound")))
        self._open.append(execution)
        if options.get("cuda_graph"):
            execution.use_graph()
        if options.get("layer_profile"):
            facts["layers"] = layers.profile(execution)
        facts["engine_bytes"] = len(plan)
        facts["cuda"] = device.backend
        facts["cuda_graph"] = bool(options.get("cuda_graph"))
        execution.after_first = lambda: {"gpu_memory_bytes": self._rise(free_before)}
        return execution, {"engine": facts}

    def close(self):
        """Give back what is on the GPU, while there still is a context."""
        for execution in self._open:
            execution.close()
        self._open = []
        # The traceback of a failed case holds its engine in a circle.
        gc.collect()
        if self.__dict__.pop("_runtime", None) is not None:
            self.device.close()

    def _deserialized(self, plan):
        """The engine of a plan, ``None`` where it cannot be loaded; the log then says why."""
        LOG.clear()
        return self._runtime.deserialize_cuda_engine(plan)

    def _rise(self, free_before):
        """Bytes of the GPU's memory in use since. Others use it too: a fall says nothing."""
        rise = free_before - self.device.memory()[0]
        return rise if rise > 0 else None

    def _wanted(self, graph, options):
        """Builder options, and the facts that name the engine, with their hash as ``key``."""
        precision = options.get("precision", "fp32")
        images = options.get("calibration")
        if precision == "int8" and images is not None:
            if not os.path.isfile(images):
                raise Failure("load", "file %s is not on the board" % images)
            images = "%s, %d bytes" % (os.path.basename(images), os.path.getsize(images))
        wanted = build.builder_options(
            precision, self.device.memory()[1], images if precision == "int8" else None
        )
        facts = {
            "tensorrt": "%s %s" % (trt.__name__, trt.__version__),
            "device": self.device.name,
            "compute_capability": self.device.capability,
            "builder_options": wanted,
        }
        return wanted, dict(facts, key=engines.key(graph, facts))

    def _build(self, graph, options, wanted, cache):
        """``(plan, seconds)`` of a build; what it learnt about this GPU is kept."""
        timings = "%s-%s%s" % (trt.__version__, self.device.name, engines.TIMING)
        timings = timings.replace(os.sep, "_").replace(" ", "_")
        calibrators = []

        def calibrator(parsed):
            calibrators.append(self._calibrator(graph, options, wanted, parsed, cache))
            return calibrators[-1]

        began = time.monotonic()
        try:
            plan, learnt = build.build(graph, wanted, cache.read(timings), calibrator)
        finally:
            for each in calibrators:
                each.close()
                # TensorRT swallows what goes wrong in a calibrator, and builds something else.
                each.require_whole()
        build_s = time.monotonic() - began
        if learnt:
            cache.write(timings, learnt)
        for each in calibrators:
            cache.write(self._ranges(graph, wanted), each.learnt)
        return plan, build_s

    def _calibrator(self, graph, options, wanted, parsed, cache):
        from bench.agent.tensorrt import calibration

        if options.get("calibration") is None:
            text = "int8 needs images to calibrate with: %s" % calibration.FIX
            raise Failure("unsupported", text)
        learnt = cache.read(self._ranges(graph, wanted))
        return calibration.Calibrator(
            options["calibration"], parsed, options.get("bound"), self.device, learnt
        )

    def _ranges(self, graph, wanted):
        """File of the ranges that the calibration of a graph has learnt."""
        facts = {"tensorrt": trt.__version__, "calibration": wanted["calibration"]}
        return engines.stem(graph) + engines.key(graph, facts) + engines.CALIBRATION
