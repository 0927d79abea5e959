"""How long each layer of an engine takes, as TensorRT's own profiler has it."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from bench.agent.tensorrt.library import trt

if TYPE_CHECKING:
    from bench.agent.tensorrt.execution import Execution

WARM_RUNS = 3
RUNS = 10


class LayerTimes(trt.IProfiler):
    """Sums of milliseconds by layer."""

    def __init__(self):
        trt.IProfiler.__init__(self)
        self.ms = OrderedDict()

    def report_layer_time(self, layer_name, ms):
        """Called by TensorRT for each layer of each inference."""
        self.ms[layer_name] = self.ms.get(layer_name, 0.0) + ms


def profile(execution: "Execution"):
    """``[{"name", "ms"}]``: mean milliseconds of each layer in the engine's order.

    Measured in a context of its own, since a profiler slows down the inferences that it watches,
    and with whatever the input buffers hold: what is computed does not depend on the values.
    """
    context = execution.new_context()
    times = LayerTimes()
    context.profiler = times
    enqueue = execution.enqueuer(context)
    for _ in range(WARM_RUNS):
        enqueue()
        execution.synchronize()
    times.ms.clear()
    for _ in range(RUNS):
        enqueue()
        execution.synchronize()
    return [{"name": name, "ms": ms / RUNS} for name, ms in times.ms.items()]
