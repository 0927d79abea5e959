"""The runtimes that a worker can use.

A runtime is a module with ``PROBE`` (Python text that prints JSON ``{"version", "providers"}``;
run in a process of its own, since an import may crash), ``import_engine()`` (returns the engine)
and ``open_model(engine, graph, options)`` (returns ``(run, facts)``: ``run(output_names, feed)``
gives a list of arrays, ``facts`` goes into the journal's ``solo`` record).
"""

from bench.agent.runtimes import onnxruntime

RUNTIMES = {"onnxruntime": onnxruntime}
