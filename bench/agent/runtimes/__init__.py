"""The runtimes that a worker can use.

A runtime is a module with ``PROBE`` (Python text that prints JSON ``{"version", "providers"}``;
run in a process of its own, since an import may crash), ``import_engine()`` (returns the engine)
and ``open_model(engine, graph, options)`` (returns ``(run, facts)``: ``run(output_names, feed)``
gives a list of arrays, ``facts`` goes into the journal's ``solo`` record).

A ``run`` may have ``take_split()``: ``{"copy_ns", "compute_ns"}``, lists with one entry per
inference since it was last called. A runtime that must turn a graph into something of its own first
has ``build(engine, graph, options)``, done in a process of its own before the case is loaded; its
answer ``{"cached": bool}`` says whether that was there already.
"""

from bench.agent.runtimes import onnxruntime, tensorrt

RUNTIMES = {"onnxruntime": onnxruntime, "tensorrt": tensorrt}
