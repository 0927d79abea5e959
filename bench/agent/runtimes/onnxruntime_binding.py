"""Inference over memory of a device that stays bound: what is copied, and when, is ours to time."""

import time

from bench.agent.clock import to_ns
from bench.agent.failure import Failure

DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
"""numpy's names of ONNX Runtime's types."""


class BoundSession(object):
    """``run(output_names, feed)`` of a session whose inputs and outputs lie on ``device``.

    Outputs whose shape the graph does not fix are allocated by the engine, anew in each run.
    ``fixed``: no address may change between runs (a CUDA graph replays them).
    """

    def __init__(self, engine, session, device, fixed):
        self._engine = engine
        self._session = session
        self._device = device
        self._fixed = fixed
        self._outputs = {output.name: output for output in session.get_outputs()}
        self._in_place = hasattr(engine.OrtValue, "update_inplace")
        if fixed and not self._in_place:
            text = "ONNX Runtime %s has no CUDA graphs (1.11 or newer has)" % engine.__version__
            raise Failure("unsupported", text)
        self._inputs = {}
        self._bindings = {}
        self._copy_s = []
        self._compute_s = []

    def __call__(self, output_names, feed):
        """One inference from host memory to host memory."""
        clock = time.monotonic
        began = clock()
        binding = self._binding(tuple(output_names))
        for name, array in feed.items():
            self._put(name, array)
        binding.synchronize_inputs()
        copied = clock()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        computed = clock()
        arrays = binding.copy_outputs_to_cpu()
        self._copy_s.append((copied - began) + (clock() - computed))
        self._compute_s.append(computed - copied)
        return arrays

    def take_split(self):
        """``{"copy_ns", "compute_ns"}`` of each inference since this was last called.

        By the host's clock: copies in and out summed, and the run until the device is done.
        """
        split = {
            "copy_ns": [to_ns(seconds) for seconds in self._copy_s],
            "compute_ns": [to_ns(seconds) for seconds in self._compute_s],
        }
        self._copy_s, self._compute_s = [], []
        return split

    def _put(self, name, array):
        """Copy an input to the device, where possible to where the last one was."""
        kind = self._engine.OrtValue
        known = self._inputs.get(name)
        if known is not None and known.shape() == list(array.shape):
            known.update_inplace(array)
            return
        if self._in_place:
            # Not from the array: on the CPU the value would share its memory.
            value = kind.ortvalue_from_shape_and_type(array.shape, array.dtype, self._device, 0)
            value.update_inplace(array)
            self._inputs[name] = value
        else:
            value = kind.ortvalue_from_numpy(array, self._device, 0)
        for binding in self._bindings.values():
            binding.bind_ortvalue_input(name, value)

    def _binding(self, output_names):
        """The binding of these outputs, made when they are first asked for."""
        binding = self._bindings.get(output_names)
        if binding is not None:
            return binding
        binding = self._session.io_binding()
        for name in output_names:
            self._bind_output(binding, name)
        for name, value in self._inputs.items():
            binding.bind_ortvalue_input(name, value)
        self._bindings[output_names] = binding
        return binding

    def _bind_output(self, binding, name):
        output = self._outputs[name]
        is_known = all(isinstance(size, int) for size in output.shape) and output.type in DTYPES
        if not is_known:
            if self._fixed:
                text = "a CUDA graph needs outputs of fixed shapes; %s has %s"
                raise Failure("unsupported", text % (name, output.shape))
            binding.bind_output(name, self._device, 0)
            return
        import numpy

        dtype = numpy.dtype(DTYPES[output.type])
        value = self._engine.OrtValue.ortvalue_from_shape_and_type(
            output.shape, dtype, self._device, 0
        )
        binding.bind_ortvalue_output(name, value)
