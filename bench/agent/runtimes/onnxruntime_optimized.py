"""ONNX Runtime on the CPU, from a graph that it has optimised once on this board and stored.

What it folds and rearranges whenever it loads a graph is in the stored one already, so that loading
takes less time, and less memory than holding weights before and after. Weights of the mode ``load``
are generated once for all loads. The price is a file on the board that is as large as all weights.
"""

import os
import platform
import shutil
import time

from bench.agent import engines, notes
from bench.agent.failure import Failure
from bench.agent.runtimes import onnxruntime

PROBE = onnxruntime.PROBE
SINCE = (1, 16)
"""The first version that stores an optimised graph with its weights beside it."""
BUILD_S = 3.0
ENDING = "-optimized.engine"
GRAPH, WEIGHTS, NOTE = "graph.onnx", "graph.weights", "note.json"
CONFIG = {
    "session.optimized_model_external_initializers_file_name": WEIGHTS,
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}

import_engine = onnxruntime.import_engine


def complaint(facts):
    """Why the installed package cannot serve: it is too old."""
    if onnxruntime.major_minor(facts["version"]) >= SINCE:
        return None
    return "ONNX Runtime %s cannot store an optimised graph, %d.%d and newer can" % (
        (facts["version"],) + SINCE
    )


def build(engine, graph, options):
    """See that the optimised graph is stored; ``{"cached"}``: whether it was before.

    Raises:
        Failure: ONNX Runtime is too old for it.
    """
    problem = complaint({"version": engine.__version__})
    if problem is not None:
        raise Failure("unsupported", problem)
    folder, _ = _place(engine, graph, options)
    if os.path.isdir(folder):
        return {"cached": True}
    _store(engine, graph, options, folder)
    return {"cached": False}


def build_s(graph, options):
    """First guess of the seconds that storing takes."""
    is_there = engines.has_any(options["engine_cache"], graph, ENDING)
    return 0.0 if is_there else BUILD_S


def open_model(engine, graph, options):
    """Load what is stored of ``graph`` (stored now, if need be), with nothing optimised again."""
    folder, key = _place(engine, graph, options)
    cached = os.path.isdir(folder)
    if not cached:
        build(engine, graph, options)
    session_options, threads = onnxruntime.settings(engine, options)
    session_options.graph_optimization_level = engine.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = os.path.join(folder, GRAPH)
    session = engine.InferenceSession(path, session_options, providers=onnxruntime.PROVIDERS)
    facts = dict(onnxruntime.described(engine, session), **threads)
    facts["engine"] = {
        "key": key,
        "cached": cached,
        "build_s": (notes.read(os.path.join(folder, NOTE)) or {}).get("build_s"),
        "engine_bytes": sum(
            os.path.getsize(os.path.join(folder, name))
            for name in (GRAPH, WEIGHTS)
            if os.path.isfile(os.path.join(folder, name))
        ),
    }
    return session.run, facts


def _place(engine, graph, options):
    """``(folder, key)``: optimised graphs are for one version and one machine's processor."""
    facts = {"onnxruntime": engine.__version__, "machine": platform.machine()}
    key = engines.key(graph, dict(facts, node=platform.node()))
    name = engines.stem(graph) + key + ENDING
    return os.path.join(options["engine_cache"], name), key


def _store(engine, graph, options, folder):
    part = folder + engines.PART
    shutil.rmtree(part, ignore_errors=True)  # of a worker that was killed
    os.makedirs(part, 0o700)
    began = time.monotonic()
    wanted = dict(options, optimized_model_path=os.path.join(part, GRAPH))
    session_options, _ = onnxruntime.settings(engine, wanted)
    for name in sorted(CONFIG):
        session_options.add_session_config_entry(name, CONFIG[name])
    engine.InferenceSession(graph, session_options, providers=onnxruntime.PROVIDERS)
    notes.write(os.path.join(part, NOTE), {"build_s": time.monotonic() - began})
    os.rename(part, folder)
