"""ONNX Runtime on the CPU, and what its other execution providers share with it."""

PROBE = (
    "import json, onnxruntime as o;"
    "print(json.dumps({'version': o.__version__, 'providers': o.get_available_providers()}))"
)

CPU = "CPUExecutionProvider"
PROVIDERS = [CPU]
LOG_ERRORS_ONLY = 3
SPINNING_STOP_SINCE = (1, 12)


def import_engine():
    """Import ONNX Runtime and keep it quiet."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(LOG_ERRORS_ONLY)
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_model(engine, graph, options):
    """Load ``graph`` with ``options["threads"]`` threads for the operators.

    ``options["optimized_model_path"]`` (optional) makes the engine write the graph that it
    really runs.
    """
    session_options, threads = settings(engine, options)
    session = engine.InferenceSession(graph, session_options, providers=PROVIDERS)
    return session.run, dict(described(engine, session), **threads)


def settings(engine, options):
    """``(session options, facts of the threads)``.

    With several threads they stop spinning when a run returns, where the version can do that:
    parked workers must not burn CPU time.
    """
    threads = options.get("threads", 1)
    session_options = engine.SessionOptions()
    session_options.intra_op_num_threads = threads
    session_options.inter_op_num_threads = 1
    session_options.log_severity_level = LOG_ERRORS_ONLY
    if options.get("optimized_model_path"):
        session_options.optimized_model_filepath = options["optimized_model_path"]
    stops_spinning = threads > 1 and major_minor(engine.__version__) >= SPINNING_STOP_SINCE
    if stops_spinning:
        session_options.add_session_config_entry("session.force_spinning_stop", "1")
    # One thread has no pool that could spin.
    facts = {"threads": threads, "spins_when_parked": threads > 1 and not stops_spinning}
    return session_options, facts


def described(engine, session):
    """What an open session says of itself."""
    return {"runtime_version": engine.__version__, "providers": session.get_providers()}


def major_minor(version):
    """``(1, 16)`` of ``"1.16.3"``."""
    return tuple(int(part) for part in version.split(".")[:2])
