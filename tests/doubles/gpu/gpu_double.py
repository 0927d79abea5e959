"""A GPU that only keeps books: memory, whatever is made on it, and a clock that its work moves on.

For doubles of pycuda and cuda-python. Work that is queued on a stream is done when somebody waits
for the stream, so that data which is used too early is wrong. Copies take a nanosecond a byte,
computing COMPUTE_NS. Every call, and at the end of the process whatever was not given back (bytes
of memory, names of all else), goes to the file that GPU_DOUBLE_LOG names, a JSON list a line, its
process first.
"""

import atexit
import collections
import ctypes
import json
import os

import numpy

NAME = "Double of a GPU"
CAPABILITY = (8, 7)
COMPUTE_NS = 1000000
TOTAL_BYTES = int(os.environ.get("GPU_DOUBLE_BYTES", 1 << 30))
PAST_END = 4096
"""Between two pieces of memory, so that addresses past an end are nobody's."""


class GpuProblem(Exception):
    """What a driver would refuse, or crash on."""


class HostMemory:
    """Page-locked memory as an object that numpy arrays are made of."""

    def __init__(self, size):
        self.content = ctypes.create_string_buffer(size)
        self.address = ctypes.addressof(self.content)
        self.size = size
        pinned[self.address] = self
        say("pin", size)

    def free(self):
        del pinned[self.address]
        say("unpin", self.size)

    def array(self, shape, dtype):
        self.__array_interface__ = {
            "shape": tuple(shape),
            "typestr": numpy.dtype(dtype).str,
            "data": (self.address, False),
            "version": 3,
        }
        return numpy.asarray(self)


class Stream:
    """Work in order; while it is captured, work is kept in place of being done. ``is_spoilt``: what
    is captured has something that no graph holds."""

    def __init__(self):
        take("stream")
        streams.append(self)
        clock["handle"] += 1
        self.handle = clock["handle"]
        self.queue = []
        self.captured = None
        self.is_spoilt = False

    def add(self, work):
        (self.queue if self.captured is None else self.captured).append(work)

    def wait(self):
        if self.captured is not None:
            raise GpuProblem("a stream that is captured cannot be waited for")
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def destroy(self):
        streams.remove(self)
        give_back("stream")


class Event:
    """A moment of the GPU's clock, known once the work before it has been waited for."""

    def __init__(self):
        take("event")
        self.at_ns = None

    def destroy(self):
        give_back("event")

    def record(self, stream):
        self.at_ns = None
        stream.add(self._happen)

    def _happen(self):
        self.at_ns = clock["ns"]


def elapsed_ms(begin, end):
    """As CUDA has it: milliseconds; an error before both have happened."""
    if begin.at_ns is None or end.at_ns is None:
        raise GpuProblem("an event has not happened yet")
    return (end.at_ns - begin.at_ns) / 1e6


memory, pinned, streams, clock = {}, {}, [], {"ns": 0, "next": 1 << 20, "handle": 700}
taken = collections.Counter()
"""How many of each kind of thing there are: streams, events, contexts, engines, ..."""
libraries = {"bytes": 0}
"""Memory that libraries took for themselves, and keep."""


def say(*words):
    with open(os.environ["GPU_DOUBLE_LOG"], "a") as log:
        log.write(json.dumps([os.getpid()] + list(words)) + "\n")


def take(kind):
    taken[kind] += 1


def give_back(kind):
    if not taken[kind]:
        raise GpuProblem("there is no %s to give back" % kind)
    taken[kind] -= 1


def left():
    """Bytes of each memory that is in use, and names of whatever else there is."""
    host_bytes = [each.size for each in pinned.values()]
    return sorted(map(len, memory.values())) + sorted(host_bytes) + sorted(taken.elements())


def free_bytes():
    return TOTAL_BYTES - libraries["bytes"] - sum(len(content) for content in memory.values())


def allocate(size):
    """Address of new memory, ``None`` where there is not enough."""
    if size > free_bytes():
        return None
    address = clock["next"]
    clock["next"] += size + PAST_END
    memory[address] = bytearray(size)
    say("allocate", size)
    return address


def release(address):
    if address not in memory:
        raise GpuProblem("%d is no memory of the GPU" % address)
    say("free", len(memory.pop(address)))


def content(address, size):
    """Memory that is exactly as large as whoever uses it thinks."""
    if address not in memory:
        raise GpuProblem("%d is no memory of the GPU" % address)
    if len(memory[address]) != size:
        raise GpuProblem("%d bytes of a memory of %d" % (size, len(memory[address])))
    return memory[address]


def host(address, size):
    return (ctypes.c_byte * size).from_address(address)


def require_pinned(address, size):
    if address not in pinned or size > pinned[address].size:
        raise GpuProblem("host memory of a queued copy is not page-locked")


def upload(address, source, size):
    content(address, size)[:] = bytes(host(source, size))
    say("upload", size)


def queue_in(address, source, size, stream):
    require_pinned(source, size)
    say("queue in", size)

    def work():
        content(address, size)[:] = bytes(host(source, size))
        clock["ns"] += size

    stream.add(work)


def queue_out(target, address, size, stream):
    require_pinned(target, size)
    say("queue out", size)

    def work():
        ctypes.memmove(target, bytes(content(address, size)), size)
        clock["ns"] += size

    stream.add(work)


def stream_of(handle):
    return next(stream for stream in streams if stream.handle == handle)


@atexit.register
def _report():
    say("left", left())
