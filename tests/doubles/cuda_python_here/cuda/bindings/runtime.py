"""The part of cuda.bindings.runtime that the agent uses. Each call gives an error and values."""

import enum

import gpu_double as gpu


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorNoDevice = 100
    cudaErrorStreamCaptureInvalidated = 901


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(enum.IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


TEXTS = {
    2: b"out of memory",
    100: b"no CUDA-capable device is detected",
    901: b"operation failed due to a previous error during capture",
}
OK = cudaError_t.cudaSuccess


class cudaDeviceProp:
    name = gpu.NAME.encode() + b"\0" * 8
    major, minor = gpu.CAPABILITY


class _Handle:
    """What the real one gives for streams: an object whose number is the handle."""

    def __init__(self, of):
        self.of = of

    def __int__(self):
        return self.of.handle


def cudaGetErrorString(error):
    return OK, TEXTS[int(error)]


def cudaSetDevice(device):
    return (OK if gpu.TOTAL_BYTES else cudaError_t.cudaErrorNoDevice,)


def cudaGetDeviceProperties(device):
    return OK, cudaDeviceProp()


def cudaMemGetInfo():
    return OK, gpu.free_bytes(), gpu.TOTAL_BYTES


def cudaMalloc(size):
    address = gpu.allocate(size)
    if address is None:
        return cudaError_t.cudaErrorMemoryAllocation, None
    return OK, address


def cudaFree(devPtr):
    if devPtr:
        gpu.release(devPtr)
    return (OK,)


def cudaHostAlloc(size, flags):
    return OK, gpu.HostMemory(size).address


def cudaFreeHost(ptr):
    gpu.pinned[ptr].free()
    return (OK,)


def cudaMemcpy(dst, src, count, kind):
    assert kind == cudaMemcpyKind.cudaMemcpyHostToDevice
    gpu.upload(dst, src, count)
    return (OK,)


def cudaMemcpyAsync(dst, src, count, kind, stream):
    if kind == cudaMemcpyKind.cudaMemcpyHostToDevice:
        gpu.queue_in(dst, src, count, stream.of)
    else:
        gpu.queue_out(dst, src, count, stream.of)
    return (OK,)


def cudaStreamCreate():
    return OK, _Handle(gpu.Stream())


def cudaStreamSynchronize(stream):
    stream.of.wait()
    return (OK,)


def cudaStreamDestroy(stream):
    stream.of.destroy()
    return (OK,)


def cudaEventCreate():
    return OK, _Handle(gpu.Event())


def cudaEventRecord(event, stream):
    event.of.record(stream.of)
    return (OK,)


def cudaEventElapsedTime(start, end):
    return OK, gpu.elapsed_ms(start.of, end.of)


def cudaEventDestroy(event):
    event.of.destroy()
    return (OK,)


def cudaStreamBeginCapture(stream, mode):
    stream.of.captured = []
    return (OK,)


def cudaStreamEndCapture(stream):
    work, stream.of.captured = stream.of.captured, None
    if stream.of.is_spoilt:
        stream.of.is_spoilt = False
        return cudaError_t.cudaErrorStreamCaptureInvalidated, None
    gpu.take("graph")
    return OK, work


def cudaGraphInstantiateWithFlags(graph, flags):
    gpu.take("executable graph")
    return OK, list(graph)


def cudaGraphDestroy(graph):
    gpu.give_back("graph")
    return (OK,)


def cudaGraphLaunch(graphExec, stream):
    gpu.say("launch graph", len(graphExec))
    for work in graphExec:
        stream.of.add(work)
    return (OK,)


def cudaGraphExecDestroy(graphExec):
    gpu.give_back("executable graph")
    gpu.say("destroy graph")
    return (OK,)
