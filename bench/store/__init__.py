"""Append-only results on disk: one folder per run, readable after a crash at any point.

::

    results/<run-id>/
        manifest.json                   what the run is; written before anything else
        trials.jsonl                    one trial a line, appended and fsynced one by one
        jobs/<job-id>.json              what it takes to evaluate the job's journal; how it ended
        journals/<job-id>.jsonl         the board's own journal, as it came
        raw/<trial-id>.latency.parquet  every inference of every round
        raw/<trial-id>.power.parquet    every reading of every energy round and idle line
"""
