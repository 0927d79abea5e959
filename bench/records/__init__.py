"""What is stored and what is passed on: frozen pydantic models that cross a file boundary.

They go into ``manifest.json``, ``trials.jsonl`` and ``jobs/``, refuse unknown keys and carry a
schema version; what is only passed on, raw arrays included, is in :mod:`bench.records.recordings`.

Units stand in the names: ``_s`` seconds, ``_ns`` nanoseconds on the board's CLOCK_MONOTONIC,
``_w`` watts, ``_j`` joules, ``_bytes``. A quantity that was not measured is ``None``, never 0.
"""
