"""Starting and stopping the conductor, which outlives whoever started it."""

import json
import os
import shutil
import time

from bench.agent import board, expectation, identity, jobs, lease, notes, state, wire
from bench.agent.child import AGENT_ROOT, agent_command

CONDUCTOR_LOG = "conductor.log"
OWN_AGENT = "agent.pyz"

READY_S = 30.0
STOP_S = 300.0
POLL_S = 0.05


def read_job(folder):
    """The job of a job folder, checked for its version, with its paths made absolute.

    Raises:
        JobProblem: there is none, or it names a file outside the board folder.
    """
    path = os.path.join(folder, wire.JOB_FILE)
    try:
        with open(path, encoding="utf-8") as stream:
            job = json.load(stream)
    except (OSError, ValueError) as error:
        raise board.JobProblem("%s cannot be read: %s" % (path, error))
    wire.check_version(job, wire.JOB_FILE)
    return board.confined(job, folder)


def start(path, wanted):
    """Bring the board into the state that the job asks for and detach a conductor for it, unless
    somebody else has the board's lease."""
    start_s = expectation.worker_start_s()
    try:
        folder = board.job_folder(path)
        if os.path.lexists(os.path.join(folder, wire.JOURNAL_FILE)):
            raise board.JobProblem("job %s has been started before" % os.path.basename(folder))
        job = read_job(folder)
    except board.JobProblem as problem:
        return _refused("job", problem)
    held, busy = lease.take(wanted, board.folder(), job["job_id"], job.get("owner", lease.UNKNOWN))
    if held is None:
        return {"busy": busy}
    # From here on ``status`` says that the job runs, also to a host whose link was lost meanwhile.
    note = os.path.join(folder, notes.CONDUCTOR_FILE)
    notes.write(note, identity.of(os.getpid()))
    try:
        state.establish(job, board.folder())
    except state.StateProblem as problem:
        os.remove(note)
        return _refused("state", problem)
    pid = _begin(folder, held, start_s)
    blocks = expectation.expected_blocks(job, start_s)
    expected_s = expectation.total_s(blocks, job["procedure"])
    next_s = expectation.until_checkpoint_s(blocks, job["procedure"])
    return {"pid": pid, "expected_s": expected_s, "next_checkpoint_s": next_s}


def restore(wanted):
    """Put back a state that a dead job left behind; a board that measures is left alone."""
    work_dir = board.folder()
    if not state.is_left_behind(work_dir):
        busy = lease.holder(wanted, work_dir)
        return dict(state.NOTHING) if busy is None else {"busy": busy}
    held, busy = lease.take(wanted, work_dir, "restore", board.user_name(os.getuid()))
    if held is None:
        return {"busy": busy}
    try:
        return state.restore(work_dir)
    finally:
        held.release()


def stop(path):
    """Ask for an end after the present block and wait for it; then the same as ``status``."""
    folder = board.job_folder(path)
    answer = jobs.state(folder)
    if answer["state"] == "running":
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        os.close(os.open(os.path.join(folder, wire.STOP_FILE), flags, 0o600))
    deadline = time.monotonic() + STOP_S
    while answer["state"] == "running" and time.monotonic() < deadline:
        time.sleep(POLL_S)
        answer = jobs.state(folder)
    return answer


def _refused(kind, problem):
    return {"refused": {"kind": kind, "text": str(problem)}}


def _begin(folder, held, start_s):
    """Detach the conductor and return its process number once its journal has begun.

    Raises:
        RuntimeError: it ended before; its log says why, and the board's state has been put back.
    """
    path = os.path.join(folder, CONDUCTOR_LOG)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    agent = _own_agent(folder)
    argv, environment = agent_command(["conduct", folder, str(held.fd), repr(start_s)], agent)
    note = os.path.join(folder, notes.CONDUCTOR_FILE)
    pid = _detach(argv, environment, note, log, held.fd)
    who = identity.of(pid)
    try:
        _wait_for_record(os.path.join(folder, wire.JOURNAL_FILE), who, path)
    except RuntimeError:
        if not identity.is_alive(who):
            state.restore(board.folder())
        raise
    return pid


def _own_agent(folder):
    """The agent that the job runs from its first to its last process, whatever becomes of ours."""
    if not os.path.isfile(AGENT_ROOT):
        return AGENT_ROOT
    own = os.path.join(folder, OWN_AGENT)
    if os.path.lexists(own):
        os.remove(own)  # of an attempt that did not come to a journal
    try:
        os.link(AGENT_ROOT, own)
    except OSError:
        shutil.copyfile(AGENT_ROOT, own)  # not every file system has hard links
    return own


def _detach(argv, environment, note, log, lock):
    """Run a program without terminal, parent or open files but the log and the lock; its number."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            grandchild = os.fork()
            if grandchild:
                os.write(write_end, b"%d" % grandchild)
            else:
                _become(argv, environment, note, log, lock)
        finally:
            os._exit(127)
    os.close(write_end)
    pid = int(os.read(read_end, 32))
    os.close(read_end)
    os.waitpid(child, 0)
    return pid


def _become(argv, environment, note, log, lock):
    # The process stays the same when its program changes.
    notes.write(note, identity.of(os.getpid()))
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.set_inheritable(lock, True)
    os.execve(argv[0], argv, environment)


def _wait_for_record(journal, who, log_path):
    """Return when the conductor has begun its journal; raise with its log if it died before."""
    deadline = time.monotonic() + READY_S
    while not (os.path.exists(journal) and os.path.getsize(journal)):
        if not identity.is_alive(who) or time.monotonic() > deadline:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                raise RuntimeError("the conductor did not begin: %s" % log.read()[-4000:].strip())
        time.sleep(POLL_S)
