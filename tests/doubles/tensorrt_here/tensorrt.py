"""A double of TensorRT whose engines compute with ONNX Runtime, on the memory of gpu_double.

TENSORRT_DOUBLE is its version; what that version has not (yet, or any more) is taken out at the
end. TENSORRT_DOUBLE_SLOW names precisions that the GPU is to have no fast form of,
TENSORRT_DOUBLE_REFUSES what its engines do not do: "run", "capture" (say that they cannot be
captured), "silent capture" (spoil it without a word), "memory to load" and "memory to run" (there
is too little); and "timings" or "old timings", the timing caches that no build takes. A graph with
the operator Det is refused, one with Erf does not fit into memory. What a calibrator raises is
swallowed, as TensorRT swallows it.
"""

import enum
import json
import os
import zlib

import gpu_double as gpu
import numpy
import onnxruntime

__version__ = os.environ.get("TENSORRT_DOUBLE", "10.3.0")
VERSION = tuple(int(part) for part in __version__.split(".")[:2])
SLOW = os.environ.get("TENSORRT_DOUBLE_SLOW", "").split(",")
REFUSES = os.environ.get("TENSORRT_DOUBLE_REFUSES", "")
BUILDER_BYTES = 4096
"""What a build leaves behind in the memory of its process."""
OUT_OF_MEMORY = "[defaultAllocator.cpp] Error Code 1: Cuda Runtime (out of memory)"


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class ILogger:
    Severity = Severity


class IProfiler:
    pass


class IInt8EntropyCalibrator2:
    pass


class NetworkDefinitionCreationFlag(enum.IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class BuilderFlag(enum.Enum):
    FP16 = 0
    INT8 = 1
    TF32 = 6


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
    BF16 = 7


TYPES = {
    "tensor(float)": (DataType.FLOAT, "float32"),
    "tensor(float16)": (DataType.HALF, "float16"),
    "tensor(int32)": (DataType.INT32, "int32"),
    "tensor(bfloat16)": (DataType.BF16, None),
}
"""ONNX Runtime's names: the same in TensorRT, and numpy's, where it has one."""


class LayerType(enum.Enum):
    QUANTIZE = 0
    OTHER = 1


class TensorIOMode(enum.Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ErrorCode(enum.Enum):
    UNSUPPORTED_NODE = 8


class ITensor:
    def __init__(self, node):
        self.name = node.name
        self.shape = tuple(node.shape)
        self.dtype = _data_type(node)


class ILayer:
    type = LayerType.OTHER
    num_outputs = 1

    def get_output_type(self, index):
        return DataType.FLOAT


class INetworkDefinition:
    num_layers = 1

    def __init__(self, flags):
        self.flags = flags

    def get_layer(self, index):
        return ILayer()

    def get_input(self, index):
        return self.inputs[index]

    @property
    def num_inputs(self):
        return len(self.inputs)


class ParserError:
    def code(self):
        return ErrorCode.UNSUPPORTED_NODE

    def desc(self):
        return "No importer registered for op: Det"

    def node(self):
        return 1

    def node_name(self):
        return "last"

    def node_operator(self):
        return "Det"


class OnnxParser:
    num_errors = 0

    def __init__(self, network, logger):
        self._network = network
        self._logger = logger

    def parse_from_file(self, model):
        with open(model, "rb") as stream:
            if b"Det" in stream.read():
                line = 'ModelImporter.cpp:773: While parsing node number 1 [Det -> "y"]:'
                self._logger.log(Severity.ERROR, line)
                self.num_errors = 1
                return False
        session = _session(model)
        self._network.path = model
        self._network.inputs = [ITensor(node) for node in session.get_inputs()]
        return True

    def get_error(self, index):
        return ParserError()


class IBuilderConfig:
    def __init__(self):
        self.flags = {"TF32"}
        self.int8_calibrator = None
        self._timing_cache = None

    def set_flag(self, flag):
        self.flags.add(flag.name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool, pool_size):
        self.max_workspace_size = pool_size

    def create_timing_cache(self, serialized_timing_cache):
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        if REFUSES == "timings" or (REFUSES == "old timings" and cache.known):
            return False
        gpu.say("timings", cache.known.decode())
        self._timing_cache = cache
        return True

    def get_timing_cache(self):
        return self._timing_cache


class ITimingCache:
    def __init__(self, known):
        self.known = known

    def serialize(self):
        return bytearray(self.known + b"t")


class Builder:
    platform_has_fast_fp16 = "fp16" not in SLOW
    platform_has_fast_int8 = "int8" not in SLOW

    def __init__(self, logger):
        self._logger = logger

    def create_network(self, flags=0):
        return INetworkDefinition(flags)

    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        with open(network.path, "rb") as stream:
            if b"Erf" in stream.read():
                self._logger.log(Severity.ERROR, OUT_OF_MEMORY)
                return None
        if config.int8_calibrator is not None:
            _calibrate(config.int8_calibrator, network.inputs[::-1])
        plan = {"graph": network.path, "flags": sorted(config.flags)}
        plan.update(network_flags=network.flags, workspace=config.max_workspace_size)
        gpu.say("build", plan)
        gpu.libraries["bytes"] += BUILDER_BYTES
        return bytearray(("plan of %s\n" % __version__).encode() + json.dumps(plan).encode())


class Runtime:
    def __init__(self, logger):
        gpu.take("runtime")
        self._logger = logger

    def __del__(self):
        gpu.give_back("runtime")

    def deserialize_cuda_engine(self, serialized_engine):
        version, _, plan = bytes(serialized_engine).partition(b"\n")
        if version != ("plan of %s" % __version__).encode():
            self._logger.log(Severity.ERROR, "Serialization failed: Version tag does not match")
            return None
        if REFUSES == "memory to load":
            self._logger.log(Severity.ERROR, OUT_OF_MEMORY)
            return None
        return ICudaEngine(json.loads(plan.decode())["graph"], self._logger)


class ICudaEngine:
    def __init__(self, path, logger):
        gpu.take("engine")
        self._logger = logger
        self._session = _session(path)
        self._inputs, self._outputs = self._session.get_inputs(), self._session.get_outputs()
        self._nodes = self._inputs + self._outputs
        # The other way round than the graph has them: the order is the engine's to choose.
        self._names = [node.name for node in self._nodes][::-1]

    def __del__(self):
        gpu.give_back("engine")

    @property
    def num_io_tensors(self):
        return len(self._names)

    def get_tensor_name(self, index):
        return self._names[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if self._is_input(name) else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name):
        return self._shape(name)

    def get_tensor_dtype(self, name):
        return _data_type(next(node for node in self._nodes if node.name == name))

    def create_execution_context(self):
        return IExecutionContext(self)

    @property
    def num_bindings(self):
        return len(self._names)

    def get_binding_name(self, index):
        return self._names[index]

    def get_binding_shape(self, index):
        return self._shape(self._names[index])

    def get_binding_dtype(self, index):
        return DataType.FLOAT

    def binding_is_input(self, index):
        return self._is_input(self._names[index])

    def _is_input(self, name):
        return name in [node.name for node in self._inputs]

    def _shape(self, name):
        return next(node.shape for node in self._nodes if node.name == name)


class IExecutionContext:
    profiler = None

    def __init__(self, engine):
        gpu.take("context of an engine")
        self._engine = engine
        self._addresses = {}

    def __del__(self):
        gpu.give_back("context of an engine")

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle):
        return self._queue(stream_handle)

    def execute_async_v2(self, bindings, stream_handle):
        self._addresses = dict(zip(self._engine._names, bindings))
        return self._queue(stream_handle)

    def _queue(self, stream_handle):
        stream = gpu.stream_of(stream_handle)
        is_captured = stream.captured is not None
        if is_captured and "capture" in REFUSES:
            stream.is_spoilt = True
        if REFUSES == "run" or (is_captured and REFUSES == "capture"):
            line = "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (not permitted)"
            self._engine._logger.log(Severity.ERROR, line)
            return False
        if REFUSES == "memory to run":
            self._engine._logger.log(Severity.ERROR, OUT_OF_MEMORY)
            return False
        gpu.say("queue compute")
        stream.add(self._compute)
        return True

    def _compute(self):
        feed = {node.name: self._array(node).copy() for node in self._engine._inputs}
        for node, value in zip(self._engine._outputs, self._engine._session.run(None, feed)):
            self._array(node)[...] = value
        gpu.clock["ns"] += gpu.COMPUTE_NS
        if self.profiler is not None:
            for layer in ("product", "last"):
                self.profiler.report_layer_time(layer, 0.25)

    def _array(self, node):
        dtype = _dtype(node)
        content = gpu.content(self._addresses[node.name], _size(node.shape, dtype))
        return numpy.frombuffer(content, dtype=dtype).reshape(node.shape)


def _size(shape, dtype):
    return dtype.itemsize * int(numpy.prod(shape))


def _dtype(node):
    return numpy.dtype(TYPES[node.type][1])


def _data_type(node):
    return TYPES[node.type][0]


def _session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _calibrate(calibrator, inputs):
    """Say what lies in memory for each input (its checksum), batch by batch; learn that."""
    learnt = known = calibrator.read_calibration_cache()
    batches = 0
    while known is None:
        try:
            addresses = calibrator.get_batch([tensor.name for tensor in inputs])
        except Exception:
            addresses = None
        if addresses is None:
            break
        assert len(addresses) == len(inputs)
        shown = {}
        for tensor, address in zip(inputs, addresses):
            size = _size(tensor.shape, numpy.dtype("float32"))
            shown[tensor.name] = zlib.crc32(bytes(gpu.content(address, size)))
        gpu.say("show", shown)
        learnt = (learnt or b"") + json.dumps(shown, sort_keys=True).encode()
        batches += 1
    gpu.say("calibrate", calibrator.get_batch_size(), batches, known is not None)
    gpu.say("ranges", zlib.crc32(learnt or b""))
    if known is None:
        calibrator.write_calibration_cache(bytearray(learnt or b""))


BEFORE_8_5 = {
    ICudaEngine: [
        "num_io_tensors",
        "get_tensor_name",
        "get_tensor_mode",
        "get_tensor_shape",
        "get_tensor_dtype",
    ],
    IExecutionContext: ["set_tensor_address", "execute_async_v3"],
}
SINCE_10 = {
    ICudaEngine: [
        "num_bindings",
        "get_binding_name",
        "get_binding_shape",
        "get_binding_dtype",
        "binding_is_input",
    ],
    IExecutionContext: ["execute_async_v2"],
}
if VERSION < (8, 4):
    del IBuilderConfig.set_memory_pool_limit
if VERSION < (8, 5):
    del TensorIOMode
if VERSION < (10, 0):
    del ParserError.node_name, ParserError.node_operator
    NetworkDefinitionCreationFlag = enum.IntEnum("N", {"EXPLICIT_BATCH": 0})
if VERSION >= (11, 0):
    del IInt8EntropyCalibrator2, Builder.platform_has_fast_fp16, Builder.platform_has_fast_int8
    BuilderFlag = enum.Enum("BuilderFlag", {"TF32": 6})
    NetworkDefinitionCreationFlag = enum.IntEnum("N", {"STRONGLY_TYPED": 1})
for _gone, _is_gone in ((BEFORE_8_5, VERSION < (8, 5)), (SINCE_10, VERSION >= (10, 0))):
    for _of in _gone if _is_gone else ():
        for _name in _gone[_of]:
            delattr(_of, _name)
