"""TensorRT on the board's GPU. Engines are built here and kept; see the package tensorrt."""

from bench.agent import engines
from bench.agent.child import AGENT_ROOT

PROBE = (
    "import sys; sys.path.insert(0, %r); from bench.agent.tensorrt import presence; presence.main()"
    % AGENT_ROOT
)

ON_GPU = True


def import_engine():
    """Import TensorRT and make a CUDA context, which is no model's memory; ImportError without."""
    from bench.agent.tensorrt.session import Session

    return Session()


def build(engine, graph, options):
    """See that the engine of ``graph`` is in the cache; ``{"cached"}``: whether it was before.

    Done in a process of its own, so that what the builder leaves in memory is no model's.
    """
    _, facts = engine.prepare(graph, options)
    return {"cached": facts["cached"]}


def build_s(graph, options):
    """First guess of the seconds that a build takes; board, network and precision decide it."""
    is_there = engines.has_any(options["engine_cache"], graph, engines.NOTE)
    return 0.0 if is_there else engines.BUILD_S


def open_model(engine, graph, options):
    """Load the engine of ``graph``, built before unless it is in ``options["engine_cache"]``.

    Further options: ``precision``; ``bound``, the file that says where the values of inputs are
    that are not fed, or ``None``; ``calibration``, inputs for int8, or ``None``; ``cuda_graph``;
    ``layer_profile``. The function that is returned has ``take_split``.
    """
    from bench.agent.tensorrt.library import trt

    execution, facts = engine.open(graph, options)
    facts.update(
        runtime_version=trt.__version__, providers=["TensorRT"], threads=1, spins_when_parked=False
    )
    return execution, facts
