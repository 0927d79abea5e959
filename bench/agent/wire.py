"""What host and agent say to each other: file names, the job, the journal's lines.

This is the one module that both sides import. Python 3.6 syntax, standard library only.

**Board folder** (``work_dir``, mode 0700)::

    agent-<sha256[:16]>.pyz        the agent, named by its hash
    artifacts/<files named by hash>
    jobs/<job id>/job.json         what is asked (host writes it)
    jobs/<job id>/journal.jsonl    what has been done (conductor appends, fsync per record)
    jobs/<job id>/*.log            stderr of conductor, workers, sampler

**Agent commands** (``python agent-….pyz COMMAND``); each prints one JSON document on stdout:

``probe ROOT``           facts of the board; sysfs and procfs are read below ROOT (normally ``/``)
``start JOBDIR``         detaches the conductor; ``{"pid", "expected_s"}`` or ``{"busy": {...}}``
``status JOBDIR``        ``{"state": "running"|"finished"|"dead", "remaining_s": float|null}``
``stop JOBDIR``          asks the conductor to finish the round and stop; waits for its end
``conduct|work|sample``  internal: the three processes of a measurement

An unexpected failure exits non-zero with the traceback on stderr.

**Job** (``job.json``)::

    {"version": 1, "job_id": str, "root": "/",
     "procedure": {... fields of records.Procedure ...},
     "cases": [{"key": str, "runtime": str, "graph": path, "reference": path,
                "options": {"threads": int, ...}, "classifier": bool,
                "tolerance": {"atol": float, "rtol": float, "cosine": float}}],
     "sensor": null | {"name": str, "options": {...}, "channels": [str, ...],
                       "period_s": float, "lag_s": float|null}}

**Journal records**, one a line, each a JSON object with ``kind``; times are integer nanoseconds
of the board's CLOCK_MONOTONIC:

``start``    job_id, t_ns, wall_s, boot_id, pid, expected_s
``health``   where ("before"|"after"), t_ns, temperature_c {zone: °C}, frequency_khz {cpu: kHz},
             governor {cpu: name}, load1, available_bytes, throttle {counter: n}
``solo``     case, t_ns, runtime_version, providers, import_s, load_s, first_s, imported_bytes,
             load_rise_bytes, steady_rise_bytes, peak_bytes,
             parity {passed, max_abs_error, max_rel_error, cosine, top1_agreement, detail}
``failure``  case, reason (a value of records.Reason), text (one line), detail (tail of output)
``warmup``   case, steady (bool), took_s, runs
``idle``     where ("before"|"after"), window_ns [t0, t1], trace
``round``    case, index, type ("latency"|"energy"), start_ns, durations_ns [...],
             window_ns [t0, t1]|null, trace|null, background (0..1)|null
``end``      t_ns, reason ("finished"|"stopped")

A ``trace`` is ``{"channels": [...], "unit": "W"|"J", "t_before_ns": [...], "t_after_ns": [...],
"values": [[per channel] per sample]}``; a failed read is ``null``.
"""

import json
import zlib

WIRE_VERSION = 1
JOB_FILE = "job.json"
JOURNAL_FILE = "journal.jsonl"
STOP_FILE = "stop"


class WireError(ValueError):
    """The other side speaks another version of this format."""


def encode_record(record):
    """Return the journal line (bytes, newline included) of a JSON-able dict.

    The line is ``<json>\\t<crc32 in 8 hex digits>\\n``, so that a torn write is recognised.
    """
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode("utf-8")
    return text + b"\t%08x\n" % (zlib.crc32(text) & 0xFFFFFFFF)


def decode_records(data):
    """Return ``(records, problems)`` of a journal's bytes.

    Lines that are torn or damaged are left out and described in ``problems`` (list of str);
    everything else is used.
    """
    records = []
    problems = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        text, _, check = line.rpartition(b"\t")
        if check != b"%08x" % (zlib.crc32(text) & 0xFFFFFFFF):
            torn = number == len(lines)
            problems.append("journal line %d is %s" % (number, "cut short" if torn else "damaged"))
            continue
        records.append(json.loads(text.decode("utf-8")))
    return records, problems


def check_version(document, what):
    """Raise WireError when ``document["version"]`` is not the one this code speaks."""
    version = document.get("version")
    if version != WIRE_VERSION:
        raise WireError(
            "%s has wire version %r, this side speaks %d" % (what, version, WIRE_VERSION)
        )
