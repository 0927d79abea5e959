"""What host and agent say to each other: file names, the job, the journal's lines.

This is the one module that both sides import. Python 3.6 syntax, standard library only.

**Board folder** (``work_dir``; a folder of the user's own, no link, mode 0700)::

    agent-<sha256[:16]>.pyz        the agent, named by its hash
    artifacts/<files named by hash>
    engines/<graph>-<key>.*        engines that were built here, see engines.py
    packages/                      Python packages that the board lacked, see packages.py
    wheels/<sha256[:16]>/*.whl     what they are unpacked from, until they are
    jobs/<job id>/job.json         what is asked (host writes it)
    jobs/<job id>/journal.jsonl    what has been done (conductor appends, fsync per record)
    jobs/<job id>/collected        exists once a host has the whole journal safe on its own disk
    jobs/<job id>/stop             exists once an early end is asked for
    jobs/<job id>/*.log            stderr of conductor, workers, sampler
    jobs/<job id>/*.json           the conductor's own notes for ``status``
    jobs/<job id>/agent.pyz        the agent that the job runs, whatever becomes of the one above
    state.json, clocks.conf        what the board was like before a job changed its state

**Lease.** One file for all users of a board is locked (flock) by the conductor that measures and
its workers, for their lives; it says who that is. LOCK below is its path; a relative one lies in
the board folder, which also takes the file where the wanted one cannot be used (``/run/lock``
missing or not writable); ``probe`` tells. The kernel drops the lock with the last of these
processes, so a dead holder or a reboot leaves nothing to break. ``restore`` and ``clean`` hold it,
too, while they change something, as the jobs "restore" and "clean".

**Agent commands** (``python agent-….pyz COMMAND``); each prints one JSON document on stdout:

``probe ROOT OPTIONS LOCK``
                         facts of the board; sysfs and procfs are read below ROOT (normally ``/``);
                         OPTIONS is a JSON object of options by sensor name, for sensors that
                         cannot be described without (``{"estimate": {"idle_w", "busy_w"},
                         "replay": {"path"}, "command": {"argv", "scope"}}``)
``restore LOCK``         restores a board state that a dead job left behind, if there is one:
                         ``{"restored": {job_id, ... as in a state record}|null, "problem":
                         str|null}``; ``probe`` and ``start`` do the same first. While a job holds
                         the lock nothing is touched.
``start JOBDIR LOCK``    detaches the conductor; ``{"pid", "expected_s", "next_checkpoint_s"}`` or
                         ``{"refused": {"kind": "state"|"job", "text": str}}``: the state asked for
                         cannot be had (nothing was changed, or it has been put back), or the job
                         names a file outside the board folder, or there is none. A job that has
                         been started is never started again: ``{"refused": {"kind": "job", ...}}``
``clean LOCK APPLY``     what the board folder need not keep: ``{"removable": [{"what":
                         "agent"|"job"|"artifact"|"engine"|"packages"|"leftover", "path",
                         "bytes"}], "kept": [{"job_id", "why"}]}``; removed as well if APPLY
                         is ``yes``, else it is ``no``. Jobs that were begun and not
                         collected are kept, and so are this agent, files that kept jobs use, and
                         packages that are in use
``doctor ROOT OPTIONS LOCK``
                         what else one wants to know before measuring, see doctor.py for its
                         document; loads all CPUs for some seconds
``provision LOCK KEY WHEELS``
                         unpacks wheels (a JSON list of paths below ``wheels``), imports them in
                         processes of their own and puts them into use for this Python under the
                         hash KEY: ``{"folder", "versions": {package: version}, "problem"}``; with
                         a problem everything is as before
``unprovision LOCK``     removes what is in use for this Python: ``{"removed": name|null}``

                         A board that measures answers these with ``{"busy": {"job_id", "pid",
                         "owner", "user", "since_wall_s", "left_s": float|null}}`` instead.
                         All users of the board may write what it says: it is data, and
                         "unknown" (pid: 0) where it says nothing

``jobs LOCK``            every job of this board folder, oldest first, and who measures:
                         ``{"jobs": [{"job_id", "run_id", "owner", "state", "collected": bool,
                         "created_wall_s", "remaining_s", "journal_bytes", "cases": number of
                         them}], "busy": null | {... as above}}``. Reads small files only; what a
                         damaged ``job.json`` does not tell is null
``status JOBDIR``        ``{"state": "running"|"finished"|"dead"|"new"|"absent", "remaining_s":
                         float|null, "next_checkpoint_s": float|null, "rebooted": bool}``; new:
                         never begun; absent: no such job here; dead: it ended without an ``end``
                         record (the last line of conductor.log says why, where it could);
                         rebooted: because the board did. A job is ``running`` from the moment
                         that ``start`` has the lease for it
``stop JOBDIR``          asks the conductor to finish the round and stop; waits for its end
``conduct|work|sample|mark``  internal: the processes of a measurement

A board folder or JOBDIR that is not in order exits non-zero with one line on stderr, an unexpected
failure with the traceback.

**Job** (``job.json``)::

    {"version": 1, "job_id": str, "run_id": str, "owner": "user@host", "root": "/",
     "procedure": {... fields of records.Procedure ...},
     "cases": [{"key": str, "runtime": str, "graph": path, "reference": path,
                "options": {"threads": int, ... see below}, "classifier": bool,
                "accuracy": [{"path": str, "images": int}],
                "tolerance": {"atol": float, "rtol": float, "cosine": float}}],
     "sensor": null | {"name": str, "options": {...}, "channels": [str, ...],
                       "unit": "W"|"J", "period_s": float, "lag_s": float|null},
     "markers": null | {"before": [seconds, ...], "after": [...], "rest_s": float,
                        "meter_period_s": float},
     "state": {"power_mode": str|null, "clocks": "max"|null, "governor": str|null},
     "limits": {"load_s": 600, "answer_s": 60, "build_s": 3600}}

The paths of cases may be relative to the board folder and must not lead out of it (nor must
``optimized_model_path``, which ends in ``.onnx``, lead out of the job folder), also not through
links. ``job_id`` is the name of the job folder. ``accuracy`` (optional) are the parts of a labelled
set, see accuracy.py. ``markers`` (optional): a meter on the host reads the power as well, and finds
its place on the board's clock by load that is played before and after the rounds: load, idle, load,
..., load for so many seconds each, between ``rest_s`` of idle. ``limits`` (optional) are the
seconds after which a worker that loads, builds an engine, or should have answered, counts as
hung.

Options of a case, all optional: ``threads``; ``optimized_model_path`` (ONNX Runtime) makes a worker
write the graph that its engine really runs; ``precision`` ("fp32"|"fp16"|"int8"), ``bound`` (path
of the list of inputs that are bound once, see tensorrt/bound.py, or null), ``calibration`` (path of
an .npy of inputs for int8, or null), ``cuda_graph`` and ``layer_profile`` (bool) are TensorRT's.
``engine_cache`` is not the host's to say: the agent sets it.

**Probe**::

    {"version", "board": {"model", "compatible": []}, "boot_id", "monotonic_ns", "wall_s",
     "os": {"pretty_name", "kernel", "machine", "l4t"},
     "python": {"version", "executable", "implementation", "abi_flags", "platform", "bits",
                "glibc"},
     "packages": null | {"folder", "key", "versions": {package: version}},
     "numpy": null | {"version", "problem"},
     "runtimes": {name: null | {"version", "providers", "problem"}},
     "cpu": {"model", "count", "governor": {cpu: name}, "frequency_khz": {cpu: kHz}},
     "memory": {"total_bytes", "available_bytes"}, "disk": {"free_bytes"},
     "temperature_c": {zone: °C}, "lock": {"path", "problem"},
     "state": {"power_mode": name, "power_modes": {id: name}, "restored", "problem"},
     "sensors": [{"name", "source": "measured"|"counter"|"estimated", "unit": "W"|"J",
                  "channels": [{"name", "resolution_w", "problem", and where they are known
                  "voltage_v", "resolution_j" (one step of a counter)}], "lag_s", "scope",
                  "samples", "update_interval_ms", "problem", "read_s", and where they are known
                  "refresh_s", "gain_error", "period_s", "note"}]}

What is not there or cannot be told is null. ``problem`` is null or one line with the fix.

**Journal records**, one a line, each a JSON object with ``kind``; times are integer nanoseconds
of the board's CLOCK_MONOTONIC:

``start``    version, job_id, t_ns, wall_s, boot_id, pid, expected_s,
             placement {cpus, sampler, workers {case: [cpu]}}
``health``   where ("before"|"after"), t_ns, temperature_c {zone: °C}, frequency_khz,
             frequency_min_khz and frequency_max_khz {cpu|"gpu": kHz}, governor {cpu: name}, load1,
             available_bytes, throttle {counter: n}
``solo``     case, t_ns, runtime_version, providers, threads, spins_when_parked, import_s,
             load_s, first_s, steady_run_s, imported_bytes, load_rise_bytes,
             steady_rise_bytes, peak_bytes,
             engine (TensorRT alone) {key, tensorrt (module and version), device,
             compute_capability, builder_options {...}, cached (whether it was there before this
             job), build_s (of the build that made it, whenever that was), engine_bytes, cuda
             (package that drives the GPU, and its version), cuda_graph, log [last warnings and
             worse of that build], layers [{name, ms}] (only under layer_profile)},
             gpu_memory_bytes (rise of all that is in use on the GPU by this load)|null,
             parity {passed, max_abs_error, max_rel_error, cosine, top1_agreement, detail}
``failure``  case, reason (a value of records.Reason), text (one line), detail (tail of output),
             parity (only with the reason "parity")
``groups``   t_ns, groups [[case]], available_bytes|null: cases that are loaded side by side, from
             the solo pass's peaks and the memory that was available after it
``warmup``   case, load (number of the fresh load), steady (bool), took_s, runs,
             steady_rise_bytes, peak_bytes (of this load, as in ``solo``)
``idle``     where ("before"|"after"), cases [parked], window_ns [t0, t1], trace
``round``    case, index, type ("latency"|"energy"), start_ns, durations_ns [...],
             copy_ns [...]|null, compute_ns [...]|null (of the same inferences: copies to the GPU
             and back, and computation, by the GPU's clock; null: the runtime does not tell),
             window_ns [t0, t1]|null, trace|null, background (0..1)|null
``sensor``   t_ns, text (one line), detail: the sampler was lost; no power from here on
``state``    where ("before"|"set"|"after"|"restored"), t_ns, power_mode, clocks, governor {cpu:
             name}, frequency_min_khz, frequency_max_khz, problem: the board's state as it was
             found, as it was set, as it still was after the last round, and as it was put back
``cooldown`` t_ns, reached (bool), took_s, wanted_c, temperature_c (hottest zone, null: none can be
             read, then nothing was waited for)
``marker``   where ("before"|"after"), t_ns, edges_ns [load set in, ended, set in, ...], window_ns
             [t0, t1] with the idle around, spread_ns (by how much the CPUs differed), cpus (how
             many); or where, t_ns, problem, detail: it could not be played
``step``     case, onset_ns, window_ns [t0, t1], trace: a load sets in at onset_ns
``stopping`` t_ns, reason ("target"|"loads"|"settled"|"max-rounds"|"max-time"), rounds,
             half_widths {case: relative half-width|null}: see stopping.py; half-widths are as the
             host reports them (from three loads on, the loads are the batches); once per group, for
             the cases left in it
``accuracy`` case, t_ns, part (its number), images, top1, top5: how many of a part's images came out
             right; or case, t_ns, problem: why there is no (further) accuracy
``checkpoint`` t_ns, until_ns: nothing is measured in between; the host may look
``end``      t_ns, reason ("finished"|"stopped")

A ``solo`` record of ONNX Runtime's GPU providers has further: provider_options {name: value}, nodes
{provider: how many of the graph it ran}, cuda_graph (bool), gpu_memory_bytes|null, and with its
TensorRT provider engine {cached, engine_bytes}.

A ``round`` has further: load (number of the fresh load), health {temperature_c, frequency_khz,
throttle} read right after it, arrivals_ns [...]|null (scenario ``server``: then durations_ns
count from the arrival, the same arrivals for all cases in rounds of one type and index). Its type
is "sustain" under ``procedure.sustain_s``; where there is a sampler, such a round has a trace and
its window is the whole round. Latency rounds beyond ``procedure.latency_rounds`` have the indices
from there on; with several loads each load takes its share of them, so that indices do not rise
over the whole job.

Checkpoints come at the announced moment: ``next_checkpoint_s`` of ``start`` and ``status`` is the
time from now until the next one, null when the job will end before (or must not be interrupted, as
under ``sustain_s``). What does not fit in before it waits until after it. Another one follows
``procedure.checkpoint_every_s`` later, if the job then still takes longer than that. Expected times
count the least number of latency rounds and those that are being taken beyond it; as long as there
may be more, the expected end is a checkpoint too, so that a job that goes on is asked there.

Under ``markers`` there are energy rounds and idle lines also where there is no sensor (any more);
their trace is null.

Just before a latency round there are untimed inferences (schedule.LEAD_S): caches still hold
another model.
Cases that do not fit in memory together are measured in groups, each with its own idle lines: one
"before" after each fresh load of the workers and one "after" the last round.

A ``trace`` is ``{"channels": [...], "unit": "W"|"J", "t_before_ns": [...], "t_after_ns": [...],
"values": [[per channel] per sample]}``; a failed read is ``null``.
"""

import json
import re
import zlib
from typing import Any, Dict, List, Optional, Tuple

WIRE_VERSION = 1
JOB_FILE = "job.json"
JOURNAL_FILE = "journal.jsonl"
STOP_FILE = "stop"
COLLECTED_FILE = "collected"

_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
"""How JSON spells one; whole pairs look the same and come through unchanged."""


class WireError(ValueError):
    """The other side speaks another version of this format."""


def encode_record(record: Dict[str, Any]) -> bytes:
    """Return the journal line (bytes, newline included) of a JSON-able dict.

    The line is ``<json>\\t<crc32 in 8 hex digits>\\n``, so that a torn write is recognised.
    """
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode("utf-8")
    return text + b"\t%08x\n" % (zlib.crc32(text) & 0xFFFFFFFF)


def decode_records(data: bytes) -> Tuple[List[Dict[str, Any]], List[str]]:
    """Return ``(records, problems)`` of a journal's bytes, whatever they are.

    Lines that are torn or damaged, repeat an earlier one, or hold something else than an object
    are left out and described in ``problems`` (list of str); everything else is used. What a
    record's fields hold is not looked at.
    """
    records: List[Dict[str, Any]] = []
    problems: List[str] = []
    seen = set()
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        text, _, check = line.rpartition(b"\t")
        if check != b"%08x" % (zlib.crc32(text) & 0xFFFFFFFF):
            torn = number == len(lines)
            problems.append("journal line %d is %s" % (number, "cut short" if torn else "damaged"))
            continue
        record = _decoded(text)
        if record is None:
            problems.append("journal line %d holds no record" % number)
        elif text in seen:
            problems.append("journal line %d repeats an earlier one" % number)
        else:
            seen.add(text)
            records.append(record)
    return records, problems


def _decoded(text: bytes) -> Optional[Dict[str, Any]]:
    """The object of a line, ``None`` if it is something else or no JSON (``NaN`` is none)."""
    try:
        record = json.loads(text.decode("utf-8"), parse_constant=_refuse)
        if _LONE_SURROGATE.search(text):
            record = _encodable(record)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _encodable(value: Any) -> Any:
    """``value`` without halves of characters (names that are no UTF-8), which nobody can store."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return value


def check_version(document: Dict[str, Any], what: str) -> None:
    """Raise WireError when ``document["version"]`` is not the one this code speaks."""
    version = document.get("version")
    if version != WIRE_VERSION:
        raise WireError(
            "%s has wire version %r, this side speaks %d" % (what, version, WIRE_VERSION)
        )
