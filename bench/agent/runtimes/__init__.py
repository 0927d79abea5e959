"""The runtimes that a worker can use.

A runtime is a module, or an object, with ``PROBE`` (Python text that prints JSON ``{"version",
"providers"}``; run in a process of its own, since an import may crash), where needed
``complaint(facts)`` (one line with the fix when the package that the probe found cannot serve this
runtime, else ``None``), ``import_engine()`` (returns the engine) and ``open_model(engine, graph,
options)`` (returns ``(run, facts)``: ``run(output_names, feed)`` gives a list of arrays, ``facts``
goes into the journal's ``solo`` record). The first run may still add to ``facts``; where it does
more than infer, it puts ``first_s`` there, the seconds of the inference alone.
``run.after_first()``, where there is one, is called after the first run and returns further facts
(kernels may be loaded as late as that). ``run.take_split``, where there is one, returns
``{"copy_ns": [...], "compute_ns": [...]}`` of the inferences since it was last called. A runtime
that must turn a graph into something of its own first has ``build(engine, graph, options)``, done
in a process of its own before the case is loaded; its
answer ``{"cached": bool}`` says whether that was there already. ``build_s(graph, options)`` is then
a first guess of the seconds that it takes, 0 where it is likely there. ``ON_GPU = True`` says that
it holds a GPU for as long as a model is loaded.
"""

from bench.agent import plugged
from bench.agent.runtimes import (
    onnxruntime,
    onnxruntime_gpu,
    onnxruntime_optimized,
    onnxruntime_tensorrt,
    tensorrt,
)

RUNTIMES = {
    "onnxruntime": onnxruntime,
    "onnxruntime-optimized": onnxruntime_optimized,
    "onnxruntime-cuda": onnxruntime_gpu.CUDA,
    "onnxruntime-tensorrt": onnxruntime_tensorrt.TENSORRT,
    "tensorrt": tensorrt,
}
RUNTIMES.update(plugged.runtimes())
"""ONNX Runtime on the CPU (seen working: 1.10 on Python 3.6 up to 1.32), the same from a
stored optimised graph, its CUDA and TensorRT execution providers, and TensorRT itself (these three
have never run on a GPU so far)."""
