"""What only root may do: directly as root, else through ``sudo -n``, which never asks."""

import os
import pwd
import shutil
import subprocess

from bench.agent import sysfs
from bench.agent.failure import one_line

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""A login over ssh often has no ``sbin`` on its PATH."""
COMMAND_LIMIT_S = 60


class StateProblem(Exception):
    """The board's state cannot be set or restored; ``text`` is one line with the fix."""

    def __init__(self, text):
        Exception.__init__(self, text)
        self.text = text


def find_command(root, name):
    """Absolute path of a program below ``root``, or ``None``."""
    folders = [sysfs.under(root, folder) for folder in FOLDERS]
    if os.path.abspath(root) == "/":
        folders += os.environ.get("PATH", "").split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(folders))


def require(root, queries, files):
    """Raise StateProblem unless commands and files may be used as root; nothing is changed.

    ``queries``: a harmless call (a list) of each command; ``files``: what has to be written.
    """
    if os.geteuid() == 0:
        locked = [path for path in files if not os.access(path, os.W_OK)]
        if locked:
            raise StateProblem("even root cannot write %s: is it mounted read-only?" % locked[0])
        return
    # sysfs takes no notice of a file that is opened and closed again.
    calls = queries + [_tee(path) for path in files]
    refused = [said for said in (_refusal(root, call) for call in calls) if said]
    if refused:
        line = sudoers_line([call[:1] for call in queries] + [_tee(path) for path in files])
        raise StateProblem(
            "setting the board's state needs root, and `sudo -n` was refused (%s): run `sudo "
            "visudo -f /etc/sudoers.d/bench` on the board and%s add the line: %s"
            % (one_line(refused[0]), _condition(queries), line)
        )


def _condition(queries):
    """What whoever adds the line must want: jetson_clocks writes files as root where it is told."""
    if any(os.path.basename(call[0]) == "jetson_clocks" for call in queries):
        return ", if this user may be as good as root there (jetson_clocks comes to that),"
    return ""


def sudoers_line(commands):
    """The line that allows this user each command (a list) without a password.

    A command without arguments is allowed with any; wildcards are not used, since in arguments
    they match blanks and slashes, and so any file.
    """
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = "#%d" % uid
    return "%s ALL=(root) NOPASSWD: %s" % (user, ", ".join(" ".join(call) for call in commands))


def run(root, argv, text=""):
    """Run a command as root with ``text`` on its stdin; its output, or StateProblem."""
    done = _run(_as_root(root) + argv, text)
    if done.returncode:
        raise StateProblem("`%s` failed: %s" % (" ".join(argv), last_line(done.stdout)))
    return done.stdout


def write(root, path, text):
    """Write a file of sysfs as root, or raise StateProblem."""
    if os.geteuid():
        run(root, _tee(path), text)
        return
    try:
        with open(path, "w") as stream:
            stream.write(text)
    except OSError as error:
        raise StateProblem("cannot write %r to %s: %s" % (text, path, error.strerror))


def last_line(output):
    """Last line of a command's output that holds anything."""
    lines = output.strip().split("\n")
    return one_line(lines[-1]) or "no output"


def query(argv):
    """Output of a command that needs no root, or ``""`` when it fails."""
    try:
        done = _run(argv, "")
    except StateProblem:
        return ""
    return "" if done.returncode else done.stdout


def _tee(path):
    return [find_command("/", "tee") or "/usr/bin/tee", path]


def _as_root(root):
    if os.geteuid() == 0:
        return []
    sudo = find_command(root, "sudo")
    if sudo is None:
        raise StateProblem(
            "setting the board's state needs root, and the board has no sudo: log in as root, "
            "or install sudo there"
        )
    return [sudo, "-n"]


def _refusal(root, argv):
    """What sudo said when it did not run the command, ``None`` if it did (however that ended).

    Only a real call tells: ``sudo -n -l COMMAND`` says yes to what would need a password, too.
    """
    done = _run(_as_root(root) + argv, "")
    if done.returncode == 0:
        return None
    for line in done.stdout.split("\n"):
        if line.startswith(("sudo:", "Sorry, user")) and "unable to resolve host" not in line:
            return line
    return None


def _run(argv, text):
    """Both streams of a command as one text; it never waits for a person (a mode of nvpmodel
    that needs a reboot asks for one)."""
    try:
        return subprocess.run(
            argv,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            errors="replace",
            env=dict(os.environ, LC_ALL="C"),
            timeout=COMMAND_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise StateProblem("`%s` did not end within %d s" % (" ".join(argv), COMMAND_LIMIT_S))
    except OSError as error:
        raise StateProblem("cannot run %s: %s" % (argv[0], error.strerror))
