"""The GPU through pycuda; what the methods do is told in cuda.py."""

import pycuda
import pycuda.driver as driver

NS_PER_MS = 1e6


class PycudaDevice(object):
    """The first GPU and its primary context, current from here on."""

    has_graphs = False
    """pycuda wraps no stream capture."""

    def __init__(self):
        driver.init()
        device = driver.Device(0)
        self._context = device.retain_primary_context()
        self._context.push()
        self.backend = "pycuda %s" % pycuda.VERSION_TEXT
        self.name = device.name()
        self.capability = "%d.%d" % tuple(device.compute_capability())

    def memory(self):
        free, total = driver.mem_get_info()
        return free, total

    def allocate(self, size):
        return driver.mem_alloc(size)

    def free(self, memory):
        memory.free()

    def address(self, memory):
        return int(memory)

    def pinned(self, shape, dtype):
        return driver.pagelocked_empty(shape, dtype)

    def free_pinned(self, array):
        array.base.free()

    def upload(self, memory, array):
        driver.memcpy_htod(memory, array)

    def stream(self):
        return driver.Stream()

    def handle(self, stream):
        return stream.handle

    def synchronize(self, stream):
        stream.synchronize()

    def free_stream(self, stream):
        # pycuda destroys streams and events with their objects.
        del stream

    def copy_in(self, memory, array, stream):
        driver.memcpy_htod_async(memory, array, stream)

    def copy_out(self, array, memory, stream):
        driver.memcpy_dtoh_async(array, memory, stream)

    def event(self):
        return driver.Event()

    def record(self, event, stream):
        event.record(stream)

    def elapsed_ns(self, begin, end):
        return round(begin.time_till(end) * NS_PER_MS)

    def free_event(self, event):
        del event

    def close(self):
        self._context.pop()
        self._context.detach()
