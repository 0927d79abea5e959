"""Builds an engine of a graph: precision, builder options, and why it failed where it did."""

from typing import TYPE_CHECKING, Any

from bench.agent.failure import Failure
from bench.agent.tensorrt.library import (
    IS_RTX,
    LOG,
    has_precision_flags,
    refused,
    trt,
)
from bench.agent.tensorrt.network import Parsed
from bench.agent.tensorrt.tensors import require_static

if TYPE_CHECKING:
    AnyConfig = Any
    """TensorRT before 8.4, or for RTX, whose names are not in the type stubs."""

WORKSPACE_BYTES = 1 << 30
WORKSPACE_SHARE = 0.25
"""Of the GPU's memory, which on a Jetson is that of the whole board."""
FLAGS = {"fp32": [], "fp16": ["FP16"], "int8": ["INT8", "FP16"]}
"""Builder flags by precision; with int8, layers that have no int8 form are fp16."""


def builder_options(precision, memory_bytes, calibration=None, capability=None):
    """What decides about the engine beside graph, TensorRT and GPU; a JSON-able dict.

    ``memory_bytes``: of the whole GPU, ``None`` without one. ``calibration``: what the images for
    int8 are known by. ``capability`` (TensorRT for RTX alone): ``"SM86"`` to build for a GPU that
    is not here.
    """
    workspace = WORKSPACE_BYTES
    if memory_bytes is not None:
        workspace = min(workspace, int(WORKSPACE_SHARE * memory_bytes))
    return {
        "precision": precision,
        "typing": "weak" if has_precision_flags() else "strong",
        "flags": FLAGS[precision] if has_precision_flags() else [],
        # Of a fp32 engine, TF32 would round the factors of matrix products to 10 bits.
        "tf32": False,
        "workspace_bytes": workspace,
        "calibration": calibration,
        "capability": capability,
    }


def build(graph, options, timing_cache=None, calibrator=None):
    """``(plan, timing cache)``: the serialized engine of an ONNX file and what its timings taught
    (bytes; ``None`` where ``timing_cache`` is, or where TensorRT keeps none).

    ``options`` are of ``builder_options``. ``calibrator`` is called with the Parsed network and
    returns its int8 calibrator; only needed where the graph does not say itself how it is
    quantized.

    Raises:
        Failure: the parser refuses a node, the board or the graph lacks the precision, memory ran
            out, or the builder gave up; with the builder's own lines.
    """
    LOG.clear()
    parsed = Parsed(graph)
    for tensor in parsed.inputs():
        require_static(tensor.name, tensor.shape)
    require_precision(parsed, options)
    config = parsed.builder.create_builder_config()
    limit_workspace(config, options["workspace_bytes"])
    config.clear_flag(trt.BuilderFlag.TF32)
    for name in options["flags"]:
        config.set_flag(getattr(trt.BuilderFlag, name))
    kept: Any = None
    if "INT8" in options["flags"] and not parsed.is_quantized():
        kept = calibrator(parsed)
        config.int8_calibrator = kept
    if options["capability"] is not None:
        target(config, options["capability"])
    # TensorRT for RTX times nothing while it builds, and asks for a GPU if it is told to.
    times = timing_cache is not None and not IS_RTX
    if times:
        attach_timings(config, timing_cache)
    plan = parsed.builder.build_serialized_network(parsed.network, config)
    if plan is None:
        raise refused("built", "TensorRT could not build the engine: %s")
    timings = config.get_timing_cache() if times else None
    return bytes(plan), bytes(timings.serialize()) if timings is not None else None


def attach_timings(config: "trt.IBuilderConfig", known):
    """Let the builder use and extend the timings ``known`` (bytes) of earlier builds; new ones
    where TensorRT does not take them, since some property of the GPU has changed."""
    for content in (known, b""):
        timings = config.create_timing_cache(content)
        if timings is not None and config.set_timing_cache(timings, ignore_mismatch=False):
            return


def require_precision(parsed: Parsed, options):
    """Raise Failure where the precision cannot be had of this graph on this board."""
    precision = options["precision"]
    version = "TensorRT %s" % trt.__version__
    if options["typing"] == "strong":
        if precision == "fp16" and "HALF" not in parsed.types():
            text = "%s takes fp16 only from a graph that is fp16 itself: export it so, or use fp32"
            raise Failure("unsupported", text % version)
        if precision == "int8" and not parsed.is_quantized():
            text = "%s takes int8 only from a graph with Q/DQ nodes: export it so, or use fp32"
            raise Failure("unsupported", text % version)
        return
    has_fast = {
        "fp32": True,
        "fp16": parsed.builder.platform_has_fast_fp16,
        "int8": parsed.builder.platform_has_fast_int8,
    }
    if not has_fast[precision]:
        text = "this GPU has no fast %s: choose another precision for this device"
        raise Failure("unsupported", text % precision)


def limit_workspace(config: "trt.IBuilderConfig", size):
    """Memory for one layer's scratch space: before 8.4 an attribute, and 0 unless set."""
    if hasattr(config, "set_memory_pool_limit"):
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, size)
    else:
        _limit_workspace_before_8_4(config, size)


def _limit_workspace_before_8_4(config: "AnyConfig", size):
    config.max_workspace_size = size


def target(config: "AnyConfig", capability):
    """Build for a GPU that is not here (TensorRT for RTX)."""
    wanted = getattr(_compute_capabilities(), capability, None)
    if wanted is None:
        text = "%s %s cannot build for %s"
        raise Failure("unsupported", text % (trt.__name__, trt.__version__, capability))
    config.num_compute_capabilities = 1
    config.set_compute_capability(wanted, 0)


def _compute_capabilities() -> Any:
    return getattr(trt, "ComputeCapability", None)
