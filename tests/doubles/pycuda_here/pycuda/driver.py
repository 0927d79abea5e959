"""The part of pycuda.driver that the agent uses.

As pycuda does, it destroys streams and events with their objects. A context that goes before what
was made in it, or is given back while it is current, is an error.
"""

import gpu_double as gpu


class LogicError(Exception):
    """As pycuda's."""


class MemoryError(Exception):
    """As pycuda's, which says so, too."""


def init():
    if gpu.TOTAL_BYTES == 0:
        raise LogicError("cuInit failed: no CUDA-capable device is detected")


class Device:
    def __init__(self, number):
        assert number == 0

    def name(self):
        return gpu.NAME

    def compute_capability(self):
        return gpu.CAPABILITY

    def retain_primary_context(self):
        return Context()


class Context:
    def __init__(self):
        gpu.take("context")

    def push(self):
        gpu.take("current context")

    def pop(self):
        left = [each for each in gpu.left() if "context" not in str(each)]
        if left:
            raise LogicError("the context goes before what was made in it: %s" % left)
        gpu.give_back("current context")

    def detach(self):
        if gpu.taken["current context"]:
            raise LogicError("the context is still current")
        gpu.give_back("context")


class DeviceAllocation:
    def __init__(self, address):
        self._address = address

    def __int__(self):
        return self._address

    def free(self):
        gpu.release(self._address)


class Stream:
    def __init__(self):
        self._stream = gpu.Stream()
        self.handle = self._stream.handle

    def __del__(self):
        self._stream.destroy()

    def synchronize(self):
        self._stream.wait()


class Event:
    def __init__(self):
        self._event = gpu.Event()

    def __del__(self):
        self._event.destroy()

    def record(self, stream):
        self._event.record(stream._stream)

    def time_till(self, end):
        return gpu.elapsed_ms(self._event, end._event)


def mem_get_info():
    return gpu.free_bytes(), gpu.TOTAL_BYTES


def mem_alloc(size):
    address = gpu.allocate(size)
    if address is None:
        raise MemoryError("cuMemAlloc failed: out of memory")
    return DeviceAllocation(address)


def pagelocked_empty(shape, dtype):
    size = gpu.numpy.dtype(dtype).itemsize
    for length in shape:
        size *= length
    return gpu.HostMemory(size).array(shape, dtype)


def memcpy_htod(dest, src):
    assert src.flags.c_contiguous
    gpu.upload(int(dest), src.ctypes.data, src.nbytes)


def memcpy_htod_async(dest, src, stream):
    gpu.queue_in(int(dest), src.ctypes.data, src.nbytes, stream._stream)


def memcpy_dtoh_async(dest, src, stream):
    gpu.queue_out(dest.ctypes.data, int(src), dest.nbytes, stream._stream)
