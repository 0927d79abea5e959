"""The jobs of this board folder and what has become of them, read from small files only."""

import os

from bench.agent import board, identity, lease, notes, wire
from bench.agent.clock import now_ns

TAIL_BYTES = 4096
"""Enough for an ``end`` record."""
HEAD_BYTES = 1 << 16
"""Enough for a ``start`` record."""


def status(path):
    """The answer to ``status``."""
    return state(board.job_folder(path))


def listing(wanted):
    """The answer to ``jobs``."""
    work_dir = board.folder()
    jobs = [_entry(folder) for folder in folders(work_dir)]
    jobs.sort(key=lambda job: (job["created_wall_s"], job["job_id"]))
    return {"jobs": jobs, "busy": lease.holder(wanted, work_dir)}


def folders(work_dir):
    """Paths of all job folders, also of those whose job never began."""
    parent = os.path.join(work_dir, board.JOBS)
    try:
        paths = [os.path.join(parent, name) for name in os.listdir(parent)]
    except FileNotFoundError:
        return []
    return [path for path in paths if not os.path.islink(path) and _is_job(path)]


def state(folder):
    """The ``status`` document of a job folder."""
    answer = {"remaining_s": None, "next_checkpoint_s": None, "rebooted": False}
    if not _is_job(folder):
        return dict(answer, state="absent")
    conductor = notes.read(os.path.join(folder, notes.CONDUCTOR_FILE))
    if conductor is not None and identity.is_alive(conductor):
        return dict(answer, state="running", **_left(folder))
    journal = os.path.join(folder, wire.JOURNAL_FILE)
    if not os.path.exists(journal):
        return dict(answer, state="new")
    if _last_kind(journal) == "end":
        return dict(answer, state="finished")
    return dict(answer, state="dead", rebooted=_is_of_another_boot(journal))


def is_collected(folder):
    """Whether a host has said that it has the whole journal."""
    return os.path.exists(os.path.join(folder, wire.COLLECTED_FILE))


def _is_job(folder):
    return any(
        os.path.isfile(os.path.join(folder, name)) for name in (wire.JOB_FILE, wire.JOURNAL_FILE)
    )


def _entry(folder):
    """One job of the ``jobs`` answer."""
    job = notes.read(os.path.join(folder, wire.JOB_FILE)) or {}
    journal = os.path.join(folder, wire.JOURNAL_FILE)
    found = state(folder)
    cases = job.get("cases")
    return {
        "job_id": os.path.basename(folder),
        "run_id": _text(job.get("run_id")),
        "owner": _text(job.get("owner")),
        "state": found["state"],
        "collected": is_collected(folder),
        "created_wall_s": _created_wall_s(folder),
        "remaining_s": found["remaining_s"],
        "journal_bytes": os.path.getsize(journal) if os.path.exists(journal) else 0,
        "cases": len(cases) if isinstance(cases, list) else None,
    }


def _text(value):
    return value if isinstance(value, str) else None


def _created_wall_s(folder):
    """When the host put the job here, by the board's clock."""
    path = os.path.join(folder, wire.JOB_FILE)
    return os.path.getmtime(path if os.path.exists(path) else folder)


def _left(folder):
    """The conductor's own reckoning of what is left."""
    progress = notes.read(os.path.join(folder, notes.PROGRESS_FILE))
    if progress is None:
        return {}
    now = now_ns()
    left = {"remaining_s": max(0.0, progress["remaining_s"] - (now - progress["t_ns"]) / 1e9)}
    if progress["checkpoint_ns"] is not None:
        left["next_checkpoint_s"] = max(0.0, (progress["checkpoint_ns"] - now) / 1e9)
    return left


def _last_kind(journal):
    """Kind of the last record if that is whole and short, else ``None``."""
    with open(journal, "rb") as stream:
        stream.seek(max(0, os.path.getsize(journal) - TAIL_BYTES))
        # What the reading began in the middle of is no record, and is left out as damaged.
        records, _ = wire.decode_records(stream.read().rpartition(b"\n")[0])
    return records[-1].get("kind") if records else None


def _is_of_another_boot(journal):
    """Whether the board has been booted again since the job's ``start`` record."""
    with open(journal, "rb") as stream:
        first, _, _ = stream.read(HEAD_BYTES).partition(b"\n")
    records, _ = wire.decode_records(first)
    return bool(records) and records[0].get("boot_id", "") != identity.boot_id()
