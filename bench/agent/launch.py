"""Starting, watching and stopping the conductor, which outlives whoever started it."""

import fcntl
import json
import os
import time

from bench.agent import identity, schedule, wire
from bench.agent.child import agent_command
from bench.agent.clock import now_ns

LOCK_FILE = "lock"
CONDUCTOR_FILE = "conductor.json"
PROGRESS_FILE = "progress.json"
CONDUCTOR_LOG = "conductor.log"

READY_S = 30.0
STOP_S = 300.0
POLL_S = 0.05


def read_job(folder):
    """The job of a job folder, checked for its version."""
    with open(os.path.join(folder, wire.JOB_FILE), encoding="utf-8") as stream:
        job = json.load(stream)
    wire.check_version(job, wire.JOB_FILE)
    return job


def write_file(path, document):
    """Replace a small JSON file as a whole (it is read by other processes at any time)."""
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    os.rename(temporary, path)


def holder_of(work_dir):
    """Who holds the board's lock (``{"job_id", "pid", "since_wall_s"}``), or ``None``."""
    try:
        lock = os.open(os.path.join(work_dir, LOCK_FILE), os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _read_holder(lock)
    finally:
        os.close(lock)
    return None


def start(folder):
    """Detach a conductor for the job, unless another one holds this board's lock."""
    start_s = schedule.worker_start_s()
    folder = os.path.abspath(folder)
    job = read_job(folder)
    work_dir = os.path.dirname(os.path.dirname(folder))
    lock = os.open(os.path.join(work_dir, LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return {"busy": _read_holder(lock)}
    for name in (wire.STOP_FILE, PROGRESS_FILE):
        _remove(os.path.join(folder, name))
    holder = {"job_id": job["job_id"], "pid": os.getpid(), "since_wall_s": time.time()}
    _write_holder(lock, holder)
    journal = os.path.join(folder, wire.JOURNAL_FILE)
    size = os.path.getsize(journal) if os.path.exists(journal) else 0
    command = ["conduct", folder, str(lock), repr(start_s)]
    pid = _detach(command, os.path.join(folder, CONDUCTOR_LOG), lock)
    who = identity.of(pid)
    holder["pid"] = pid
    _write_holder(lock, holder)
    write_file(os.path.join(folder, CONDUCTOR_FILE), who)
    _wait_for_record(journal, size, who, os.path.join(folder, CONDUCTOR_LOG))
    return {"pid": pid, "expected_s": sum(schedule.expected_blocks(job, start_s).values())}


def status(folder):
    """Whether the job still runs, and for how long by the conductor's own reckoning."""
    conductor = _read(os.path.join(folder, CONDUCTOR_FILE))
    if conductor is not None and identity.is_alive(conductor):
        progress = _read(os.path.join(folder, PROGRESS_FILE))
        remaining_s = None
        if progress is not None:
            since_s = (now_ns() - progress["t_ns"]) / 1e9
            remaining_s = max(0.0, progress["remaining_s"] - since_s)
        return {"state": "running", "remaining_s": remaining_s}
    finished = _last_kind(os.path.join(folder, wire.JOURNAL_FILE)) == "end"
    return {"state": "finished" if finished else "dead", "remaining_s": None}


def stop(folder):
    """Ask for an end after the present block and wait for it; then the same as ``status``."""
    with open(os.path.join(folder, wire.STOP_FILE), "w"):
        pass
    deadline = time.monotonic() + STOP_S
    answer = status(folder)
    while answer["state"] == "running" and time.monotonic() < deadline:
        time.sleep(POLL_S)
        answer = status(folder)
    return answer


def _detach(arguments, log_path, lock):
    """Run the agent as a process without terminal, parent or open files but the lock's."""
    argv, environment = agent_command(arguments)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            grandchild = os.fork()
            if grandchild:
                os.write(write_end, b"%d" % grandchild)
            else:
                _become(argv, environment, log_path, lock)
        finally:
            os._exit(127)
    os.close(write_end)
    pid = int(os.read(read_end, 32))
    os.close(read_end)
    os.waitpid(child, 0)
    return pid


def _become(argv, environment, log_path, lock):
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.set_inheritable(lock, True)
    os.execve(argv[0], argv, environment)


def _wait_for_record(journal, size, who, log_path):
    """Return when the conductor has begun its journal; raise with its log if it died before."""
    deadline = time.monotonic() + READY_S
    while not (os.path.exists(journal) and os.path.getsize(journal) > size):
        if not identity.is_alive(who) or time.monotonic() > deadline:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                raise RuntimeError("the conductor did not begin: %s" % log.read()[-4000:])
        time.sleep(POLL_S)


def _write_holder(lock, holder):
    """Say in the lock file who holds it; the lock itself is the kernel's."""
    data = json.dumps(holder).encode("utf-8")
    # One write of a fixed length: a reader never sees half of it.
    os.pwrite(lock, data.ljust(512), 0)


def _read_holder(lock):
    """Who holds the lock; a holder that took it just now may not have said so yet."""
    for _ in range(20):
        data = os.pread(lock, 512, 0).strip()
        if data:
            return json.loads(data.decode("utf-8"))
        time.sleep(POLL_S)
    raise RuntimeError("the board is locked by a process that does not say who it is")


def _remove(path):
    if os.path.exists(path):
        os.remove(path)


def _read(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except OSError:
        return None


def _last_kind(journal):
    """Kind of the last whole record, or ``None``."""
    try:
        with open(journal, "rb") as stream:
            records, _ = wire.decode_records(stream.read())
    except OSError:
        return None
    return records[-1]["kind"] if records else None
