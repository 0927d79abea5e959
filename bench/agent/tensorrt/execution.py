"""Runs an engine: copies in, computes, copies out; times copies and computation by CUDA events."""

from array import array
from typing import TYPE_CHECKING, Any

import numpy

from bench.agent.failure import Failure
from bench.agent.tensorrt import tensors
from bench.agent.tensorrt.library import LOG, refused

if TYPE_CHECKING:
    import tensorrt as trt

BEGIN, COPIED_IN, COMPUTED, COPIED_OUT = range(4)
"""The events of one inference, in the order in which they happen."""


class Execution(object):
    """An engine with all its memory; called with output names and a feed, it gives arrays.

    Fed inputs go through page-locked memory to the GPU and wanted outputs the same way back;
    arrays in ``constants`` are on the GPU from the start. One inference is queued as a whole on
    one stream and waited for at its end. ``after_first``: see the runtimes.
    """

    after_first: Any = None

    def __init__(self, device, engine: "trt.ICudaEngine", constants):
        self._device = device
        self._engine = engine
        self._memory = {}
        self._pinned = {}
        self._events = []
        self._graph = None
        self._copy_ns = array("q")
        self._compute_ns = array("q")
        self._stream = device.stream()
        try:
            self._prepare(constants)
        except Exception:
            self.close()
            raise

    def _prepare(self, constants):
        self.tensors = tensors.of(self._engine)
        known = [tensor.name for tensor in self.tensors if tensor.is_input]
        for name in constants:
            if name not in known:
                raise Failure("load", "the engine has no input %s to bind" % name)
        for tensor in self.tensors:
            self._reserve(tensor, constants.get(tensor.name))
        self._fed = [t for t in self.tensors if t.is_input and t.name not in constants]
        self._context = self.new_context()
        self._enqueue = self.enqueuer(self._context)
        self._events = [self._device.event() for _ in (BEGIN, COPIED_IN, COMPUTED, COPIED_OUT)]

    def new_context(self):
        """A further execution context of the engine; it has scratch memory of its own."""
        context = self._engine.create_execution_context()
        if context is None:
            text = "no memory to run the engine in (%s): free memory on the board"
            raise Failure("out-of-memory", text % LOG.last_error(), LOG.text())
        return context

    def enqueuer(self, context: "trt.IExecutionContext"):
        """A function that queues one inference of ``context`` over this memory, or raises."""
        addresses = {name: self._device.address(self._memory[name]) for name in self._memory}
        handle = self._device.handle(self._stream)
        queue = tensors.enqueuer(context, self.tensors, addresses, handle)

        def enqueue():
            if not queue():
                raise refused("run", "TensorRT could not run the engine: %s")

        return enqueue

    def synchronize(self):
        """Wait for all that was queued."""
        self._device.synchronize(self._stream)

    def use_graph(self):
        """From here on, replay the computation as a CUDA graph.

        Raises:
            Failure: the engine does not run, or does what no graph can hold.
        """
        # What the engine only sets up in its first inference must not be recorded.
        self._enqueue()
        self.synchronize()
        self._device.begin_capture(self._stream)
        problem = None
        try:
            self._enqueue()
        except Failure:
            problem = LOG.last_error()
        try:
            self._graph = self._device.end_capture(self._stream)
        except Exception as error:
            problem = problem or error
        if problem is not None:
            text = "the engine cannot be captured as a CUDA graph (%s): leave out `--cuda-graph`"
            raise Failure("unsupported", text % problem, LOG.text())

    def __call__(self, output_names, feed):
        device, stream, events = self._device, self._stream, self._events
        for tensor in self._fed:
            self._fill(tensor, feed)
        device.record(events[BEGIN], stream)
        for tensor in self._fed:
            device.copy_in(self._memory[tensor.name], self._pinned[tensor.name], stream)
        device.record(events[COPIED_IN], stream)
        if self._graph is None:
            self._enqueue()
        else:
            device.launch(self._graph, stream)
        device.record(events[COMPUTED], stream)
        for name in output_names:
            device.copy_out(self._pinned[name], self._memory[name], stream)
        device.record(events[COPIED_OUT], stream)
        device.synchronize(stream)
        in_ns, compute_ns, out_ns = (
            device.elapsed_ns(events[index], events[index + 1]) for index in range(3)
        )
        self._copy_ns.append(in_ns + out_ns)
        self._compute_ns.append(compute_ns)
        return [self._pinned[name].copy() for name in output_names]

    def take_split(self):
        """``{"copy_ns", "compute_ns"}``: lists with one entry per inference since last asked."""
        split = {"copy_ns": self._copy_ns.tolist(), "compute_ns": self._compute_ns.tolist()}
        del self._copy_ns[:], self._compute_ns[:]
        return split

    def close(self):
        """Give everything back, in the reverse order."""
        device = self._device
        if self._stream is None:
            return
        if self._graph is not None:
            device.free_graph(self._graph)
        # TensorRT's objects end with the last name for them.
        for name in ("_enqueue", "_context", "_engine"):
            self.__dict__.pop(name, None)
        for event in self._events:
            device.free_event(event)
        for name in self._pinned:
            device.free_pinned(self._pinned[name])
        for name in self._memory:
            device.free(self._memory[name])
        device.free_stream(self._stream)
        self._graph, self._stream = None, None
        self._events, self._pinned, self._memory = [], {}, {}

    def _reserve(self, tensor, constant):
        """Memory for a tensor: on the GPU, and page-locked here unless it is a constant."""
        size = numpy.dtype(tensor.dtype).itemsize
        for length in tensor.shape:
            size *= length
        self._memory[tensor.name] = self._device.allocate(size)
        if constant is None:
            self._pinned[tensor.name] = self._device.pinned(tensor.shape, tensor.dtype)
            return
        if constant.shape != tensor.shape:
            shapes = (tensor.name, constant.shape, tensor.shape)
            raise Failure("load", "bound input %s has shape %s, the engine wants %s" % shapes)
        if not numpy.can_cast(constant.dtype, tensor.dtype, "same_kind"):
            types = (tensor.name, constant.dtype, tensor.dtype)
            raise Failure("load", "bound input %s is %s, the engine wants %s" % types)
        values = numpy.ascontiguousarray(constant, dtype=tensor.dtype)
        self._device.upload(self._memory[tensor.name], values)

    def _fill(self, tensor, feed):
        values = feed.get(tensor.name)
        if values is None:
            raise Failure("load", "input %s is neither fed nor bound" % tensor.name)
        if values.shape != tensor.shape:
            shapes = (tensor.name, values.shape, tensor.shape)
            raise Failure("load", "input %s has shape %s, the engine wants %s" % shapes)
        # Casts (a graph's int64 may be the engine's int32), but never drops a fraction.
        try:
            numpy.copyto(self._pinned[tensor.name], values, casting="same_kind")
        except TypeError:
            types = (tensor.name, values.dtype, tensor.dtype)
            raise Failure("load", "input %s is %s, the engine wants %s" % types)
