"""Calibration for int8: shows the builder real inputs, so that it learns their ranges."""

from typing import Any

from bench.agent.failure import Failure
from bench.agent.tensorrt import bound
from bench.agent.tensorrt.library import numpy_dtype, trt

FIX = "give images with `--calibration FOLDER`"


class Calibrator(trt.IInt8EntropyCalibrator2):
    """Feeds the arrays of an ``.npy`` file (n, ...), a batch of the network at a time.

    ``learnt`` (bytes) are the ranges of an earlier calibration with the same images, in place of
    showing them again; afterwards it holds those of this one.
    """

    def __init__(self, path, parsed, bound_path, device, learnt):
        trt.IInt8EntropyCalibrator2.__init__(self)
        self._device = device
        self._problem: Any = None
        self.learnt = learnt
        constants = bound.read(bound_path)
        fed = [tensor for tensor in parsed.inputs() if tensor.name not in constants]
        if len(fed) != 1:
            raise Failure("unsupported", "int8: calibration is for one input, not %d" % len(fed))
        shape = tuple(fed[0].shape)
        dtype = numpy_dtype(fed[0].dtype)
        if not dtype.startswith("float"):
            text = "int8: calibration is for an input of floating-point numbers, %s is %s"
            raise Failure("unsupported", text % (fed[0].name, dtype))
        self._images = _read(path, shape, dtype)
        self._batch = shape[0]
        self._next = 0
        self._memory = {}
        for name in constants:
            self._memory[name] = device.allocate(constants[name].nbytes)
            device.upload(self._memory[name], constants[name])
        self._input = fed[0].name
        self._memory[self._input] = device.allocate(self._images[: self._batch].nbytes)

    def get_batch_size(self):
        """Inputs at a time: as many as the network takes."""
        return self._batch

    def get_batch(self, names):
        """Addresses of the next inputs in the order of ``names``; ``None`` after the last."""
        chunk = self._images[self._next : self._next + self._batch]
        if len(chunk) < self._batch:
            return None
        self._next += self._batch
        try:
            self._device.upload(self._memory[self._input], chunk)
            return [self._device.address(self._memory[name]) for name in names]
        except Exception as error:
            self._problem = error
            raise

    def read_calibration_cache(self):
        """What was learnt before, if anything."""
        return self.learnt or None

    def write_calibration_cache(self, cache):
        """Called with what was learnt."""
        self.learnt = bytes(cache)

    def require_whole(self):
        """Raise Failure where images could not be shown: TensorRT takes that for their end."""
        if isinstance(self._problem, Failure):
            raise self._problem
        if self._problem is not None:
            text = "int8 calibration was cut short after %d images: %r"
            raise Failure("load", text % (self._next - self._batch, self._problem))

    def close(self):
        """Give the device memory back."""
        for memory in self._memory.values():
            self._device.free(memory)
        self._memory = {}


def _read(path, shape, dtype):
    import numpy

    try:
        images = numpy.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise Failure("load", "calibration images %s cannot be read (%s): %s" % (path, error, FIX))
    if images.shape[1:] != shape[1:] or len(images) < shape[0]:
        text = "calibration images of shape %s do not fit the input of shape %s: %s"
        raise Failure("load", text % (images.shape, shape, FIX))
    return numpy.ascontiguousarray(images, dtype=dtype)
