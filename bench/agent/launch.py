"""Starting, watching and stopping the conductor, which outlives whoever started it."""

import fcntl
import json
import os
import time

from bench.agent import expectation, identity, state, wire
from bench.agent.child import AGENT_ROOT, agent_command
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


def start(folder):
    """Bring the board into the state that the job asks for and detach a conductor for it, unless
    another one holds this board's lock."""
    start_s = expectation.worker_start_s()
    folder = os.path.abspath(folder)
    job = read_job(folder)
    work_dir = os.path.dirname(os.path.dirname(folder))
    lock, holder = _take_lock(work_dir, job["job_id"])
    if lock is None:
        return {"busy": holder}
    try:
        state.establish(job, work_dir)
    except state.StateProblem as problem:
        return {"refused": {"kind": "state", "text": problem.text}}
    for name in (wire.STOP_FILE, PROGRESS_FILE):
        _remove(os.path.join(folder, name))
    journal = os.path.join(folder, wire.JOURNAL_FILE)
    size = os.path.getsize(journal) if os.path.exists(journal) else 0
    command = ["conduct", folder, str(lock), repr(start_s)]
    pid = _detach(command, os.path.join(folder, CONDUCTOR_LOG), lock)
    who = identity.of(pid)
    holder["pid"] = pid
    _write_holder(lock, holder)
    write_file(os.path.join(folder, CONDUCTOR_FILE), who)
    try:
        _wait_for_record(journal, size, who, os.path.join(folder, CONDUCTOR_LOG))
    except RuntimeError:
        if not identity.is_alive(who):
            state.restore(work_dir)
        raise
    blocks = expectation.expected_blocks(job, start_s)
    expected_s = expectation.total_s(blocks, job["procedure"])
    next_s = expectation.until_checkpoint_s(blocks, job["procedure"])
    return {"pid": pid, "expected_s": expected_s, "next_checkpoint_s": next_s}


def restore():
    """Put back a state that a dead job left behind; a board that measures is left alone."""
    work_dir = os.path.dirname(AGENT_ROOT) if os.path.isfile(AGENT_ROOT) else os.getcwd()
    locked_before = os.path.exists(os.path.join(work_dir, LOCK_FILE))
    if not (locked_before or state.is_left_behind(work_dir)):
        # Nobody has measured here yet: nothing to wait for, nothing to put back.
        return dict(state.NOTHING)
    lock, holder = _take_lock(work_dir, "restore")
    if lock is None:
        return {"busy": holder}
    try:
        return state.restore(work_dir)
    finally:
        os.close(lock)


def status(folder):
    """Whether the job still runs, and for how long by the conductor's own reckoning."""
    conductor = _read(os.path.join(folder, CONDUCTOR_FILE))
    answer = {"state": "running", "remaining_s": None, "next_checkpoint_s": None}
    if conductor is not None and identity.is_alive(conductor):
        progress = _read(os.path.join(folder, PROGRESS_FILE))
        if progress is not None:
            now = now_ns()
            since_s = (now - progress["t_ns"]) / 1e9
            answer["remaining_s"] = max(0.0, progress["remaining_s"] - since_s)
            if progress["checkpoint_ns"] is not None:
                answer["next_checkpoint_s"] = max(0.0, (progress["checkpoint_ns"] - now) / 1e9)
        return answer
    finished = _last_kind(os.path.join(folder, wire.JOURNAL_FILE)) == "end"
    return dict(answer, state="finished" if finished else "dead")


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


def _take_lock(work_dir, job_id):
    """``(open file of the board's lock, its holder)``; no file when somebody else has it."""
    lock = os.open(os.path.join(work_dir, LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _read_holder(lock)
        os.close(lock)
        return None, holder
    holder = {"job_id": job_id, "pid": os.getpid(), "since_wall_s": time.time()}
    _write_holder(lock, holder)
    return lock, holder


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
