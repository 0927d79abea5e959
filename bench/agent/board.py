"""The board folder: that it is really ours, and that a job names nothing outside of it."""

import os
import pwd
import re
import stat

from bench.agent import engines
from bench.agent.child import AGENT_ROOT

JOBS = "jobs"
PLACED_BY_HOST = re.compile(r"agent-[0-9a-f]{16}\.pyz$")
"""The agent under this name lies in a folder that a host made for it."""
WIDER_THAN_OURS = 0o077


class FolderProblem(Exception):
    """The board folder cannot be trusted; one line with the fix."""


class JobProblem(Exception):
    """A job that is not carried out; one line that says why."""


def folder():
    """The board folder: where the agent's zip file lies; for an agent that runs from its sources,
    the present folder.

    Raises:
        FolderProblem: it is a link, somebody else's, or open to others. (One that a host made is
            closed to them instead.)
    """
    is_zip = os.path.isfile(AGENT_ROOT)
    path = os.path.dirname(AGENT_ROOT) if is_zip else os.getcwd()
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        text = "the board folder %s is a link: set `work_dir` of this device to a folder"
        raise FolderProblem(text % path)
    if found.st_uid != os.getuid():
        text = (
            "the board folder %s belongs to %s, not to %s: set `work_dir` of this device to another"
        )
        raise FolderProblem(text % (path, user_name(found.st_uid), user_name(os.getuid())))
    if found.st_mode & WIDER_THAN_OURS:
        # Never a folder that somebody only happened to put the agent into, least of all /tmp.
        shared = found.st_mode & stat.S_ISVTX
        if shared or not (is_zip and PLACED_BY_HOST.match(os.path.basename(AGENT_ROOT))):
            raise FolderProblem("the board folder %s is open to others: chmod 700 it" % path)
        os.chmod(path, 0o700)
    return path


def user_name(uid):
    """Login name of a user, his number as text where he has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def job_folder(path):
    """Absolute path of a job folder of this board folder; raises JobProblem for any other."""
    work_dir = folder()
    real = os.path.realpath(path)
    name = os.path.basename(real)
    inside = os.path.join(os.path.realpath(work_dir), JOBS, name)
    if real != inside or name in (os.curdir, os.pardir):
        raise JobProblem("%s is no job folder of %s" % (path, work_dir))
    return os.path.join(work_dir, JOBS, name)


def confined(job, folder):
    """The job with all its paths absolute and without links.

    Raises:
        JobProblem: one of them leads out of the board folder or, where the job makes the worker
            write, out of the job folder; or the job is that of another folder.
    """
    if job["job_id"] != os.path.basename(folder):
        raise JobProblem("%s holds the job %r" % (folder, job["job_id"]))
    work_dir = os.path.dirname(os.path.dirname(folder))
    return dict(job, cases=[_confined_case(case, work_dir, folder) for case in job["cases"]])


def _confined_case(case, work_dir, folder):
    options = dict(case["options"])
    written = options.get("optimized_model_path")
    if written:
        path = _inside(work_dir, written, folder, case)
        if not path.endswith(".onnx"):
            # Nothing that the job folder has of its own.
            raise JobProblem("case %s would write %s, which is no .onnx file" % (case["key"], path))
        options["optimized_model_path"] = path
    for name in ("bound", "calibration"):
        if options.get(name) is not None:
            options[name] = _inside(work_dir, options[name], work_dir, case)
    options["engine_cache"] = os.path.join(work_dir, engines.FOLDER)
    read = {name: _inside(work_dir, case[name], work_dir, case) for name in ("graph", "reference")}
    parts = [
        dict(part, path=_inside(work_dir, part["path"], work_dir, case))
        for part in case.get("accuracy") or []
    ]
    return dict(case, options=options, accuracy=parts, **read)


def _inside(work_dir, path, container, case):
    """``path`` (relative: to the board folder) with links resolved, if it lies in ``container``."""
    if not isinstance(path, str) or "\0" in path:
        raise JobProblem("case %s names a file by %r" % (case["key"], path))
    real = os.path.realpath(os.path.join(work_dir, path))
    if not real.startswith(os.path.join(os.path.realpath(container), "")):
        raise JobProblem(
            "case %s names %s, which is outside of %s" % (case["key"], path, container)
        )
    return real
