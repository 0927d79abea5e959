"""The GPU through NVIDIA's cuda-python; what the methods do is told in cuda.py."""

import ctypes

import numpy

try:
    from cuda import bindings
    from cuda.bindings import runtime
except ImportError:
    # Up to cuda-python 12.5 there was no package of that name, from 13 on there is no other.
    import cuda as bindings
    from cuda import cudart as runtime

NS_PER_MS = 1e6
DEFAULT_FLAGS = 0


class CudaProblem(Exception):
    """A call of the CUDA runtime failed."""


class CudaPythonDevice(object):
    """The first GPU and its primary context, current from here on."""

    has_graphs = True

    def __init__(self):
        _done(runtime.cudaSetDevice(0))
        _done(runtime.cudaFree(0))  # until here, older runtimes make no context
        properties = _done(runtime.cudaGetDeviceProperties(0))
        self.backend = "cuda-python %s" % bindings.__version__
        self.name = properties.name.partition(b"\0")[0].decode("utf-8", "replace")
        self.capability = "%d.%d" % (properties.major, properties.minor)
        self._to_device = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._to_host = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost

    def memory(self):
        free, total = _done(runtime.cudaMemGetInfo())
        return free, total

    def allocate(self, size):
        return _done(runtime.cudaMalloc(size))

    def free(self, memory):
        _done(runtime.cudaFree(memory))

    def address(self, memory):
        return int(memory)

    def pinned(self, shape, dtype):
        size = int(numpy.prod(shape, dtype=numpy.int64)) * numpy.dtype(dtype).itemsize
        pointer = int(_done(runtime.cudaHostAlloc(size, DEFAULT_FLAGS)))
        content = (ctypes.c_byte * size).from_address(pointer)
        return numpy.frombuffer(content, dtype=dtype).reshape(shape)

    def free_pinned(self, array):
        _done(runtime.cudaFreeHost(array.ctypes.data))

    def upload(self, memory, array):
        size = array.nbytes
        _done(runtime.cudaMemcpy(memory, array.ctypes.data, size, self._to_device))

    def stream(self):
        return _done(runtime.cudaStreamCreate())

    def handle(self, stream):
        return int(stream)

    def synchronize(self, stream):
        _done(runtime.cudaStreamSynchronize(stream))

    def free_stream(self, stream):
        _done(runtime.cudaStreamDestroy(stream))

    def copy_in(self, memory, array, stream):
        source, size = array.ctypes.data, array.nbytes
        _done(runtime.cudaMemcpyAsync(memory, source, size, self._to_device, stream))

    def copy_out(self, array, memory, stream):
        target, size = array.ctypes.data, array.nbytes
        _done(runtime.cudaMemcpyAsync(target, memory, size, self._to_host, stream))

    def event(self):
        return _done(runtime.cudaEventCreate())

    def record(self, event, stream):
        _done(runtime.cudaEventRecord(event, stream))

    def elapsed_ns(self, begin, end):
        return round(_done(runtime.cudaEventElapsedTime(begin, end)) * NS_PER_MS)

    def free_event(self, event):
        _done(runtime.cudaEventDestroy(event))

    def begin_capture(self, stream):
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _done(runtime.cudaStreamBeginCapture(stream, mode))

    def end_capture(self, stream):
        graph = _done(runtime.cudaStreamEndCapture(stream))
        executable = _done(runtime.cudaGraphInstantiateWithFlags(graph, DEFAULT_FLAGS))
        _done(runtime.cudaGraphDestroy(graph))
        return executable

    def launch(self, graph, stream):
        _done(runtime.cudaGraphLaunch(graph, stream))

    def free_graph(self, graph):
        _done(runtime.cudaGraphExecDestroy(graph))

    def close(self):
        """Nothing to do: the context ends with the process."""


def _done(answer):
    """What a call gave: ``None``, a value or several; raises CudaProblem where it failed."""
    error, values = answer[0], answer[1:]
    if int(error):
        # Of a tuple, too: the error's text is a call like any other.
        text = runtime.cudaGetErrorString(error)[1].decode("utf-8", "replace")
        raise CudaProblem("%s (CUDA error %d)" % (text, int(error)))
    if not values:
        return None
    return values[0] if len(values) == 1 else values
