"""Inputs and outputs of an engine: by name since TensorRT 8.5, by binding index before."""

from typing import TYPE_CHECKING, Any

from bench.agent.failure import Failure
from bench.agent.tensorrt.library import numpy_dtype, trt

if TYPE_CHECKING:
    AnyEngine = Any
    """TensorRT before 8.5, whose names are not in the type stubs."""


class Tensor(object):
    """An input or output: ``shape`` (tuple of ints), ``dtype`` (name of a numpy type)."""

    def __init__(self, name, is_input, shape, dtype):
        self.name = name
        self.is_input = is_input
        self.shape = tuple(shape)
        self.dtype = dtype
        require_static(name, self.shape)


def require_static(name, shape):
    """Raise Failure where a shape (ints) has lengths that are only known when it runs."""
    if any(length < 0 for length in shape):
        text = "%s has the dynamic shape %s: export the model with `--shape` or `--batch`"
        raise Failure("unsupported", text % (name, tuple(shape)))


def of(engine: "trt.ICudaEngine"):
    """All tensors, in the engine's order."""
    if not hasattr(engine, "num_io_tensors"):
        return _of_bindings(engine)
    tensors = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        dtype = numpy_dtype(engine.get_tensor_dtype(name))
        tensors.append(Tensor(name, is_input, engine.get_tensor_shape(name), dtype))
    return tensors


def _of_bindings(engine: "AnyEngine"):
    return [
        Tensor(
            engine.get_binding_name(index),
            engine.binding_is_input(index),
            engine.get_binding_shape(index),
            numpy_dtype(engine.get_binding_dtype(index)),
        )
        for index in range(engine.num_bindings)
    ]


def enqueuer(context: "trt.IExecutionContext", tensors, addresses, stream_handle):
    """Bind the tensors to ``addresses`` {name: int}; a function that queues one inference and
    returns whether that was possible."""
    if not hasattr(context, "set_tensor_address"):
        return _enqueuer_of_bindings(context, tensors, addresses, stream_handle)
    for tensor in tensors:
        context.set_tensor_address(tensor.name, addresses[tensor.name])
    return lambda: context.execute_async_v3(stream_handle)


def _enqueuer_of_bindings(context: "AnyEngine", tensors, addresses, stream_handle):
    bindings = [addresses[tensor.name] for tensor in tensors]
    return lambda: context.execute_async_v2(bindings, stream_handle)
