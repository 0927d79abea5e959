"""The conductor's handle on one of its processes: questions with deadlines, death explained.

A child reads one JSON object a line on stdin and answers each with one on stdout. Its stderr
goes to a file, so that nothing it prints can block it or disturb a measurement.
"""

import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
from typing import Any

from bench.agent import sysfs
from bench.agent.failure import Failure

AGENT_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The zipapp, or the folder that holds the package ``bench``."""

QUIT_S = 5.0
TAIL_BYTES = 4000


def agent_command(arguments):
    """``(argv, environment)`` that run this very agent with this very Python."""
    environment = numpy_environment()
    if os.path.isfile(AGENT_ROOT):
        return [sys.executable, AGENT_ROOT] + arguments, environment
    environment["PYTHONPATH"] = AGENT_ROOT
    return [sys.executable, "-m", "bench.agent"] + arguments, environment


def numpy_environment():
    """The environment for a process that imports numpy."""
    environment = dict(os.environ)
    # numpy's own thread pool would only add memory: it computes nothing that is measured.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    if platform.machine() == "aarch64":
        # numpy 1.19.5 dies of SIGILL on Jetson Nano and TX2 without it.
        environment.setdefault("OPENBLAS_CORETYPE", "ARMV8")
    return environment


class Child(object):
    """A running process of the agent. Every way it can fail raises Failure from ``ask``."""

    def __init__(self, arguments, log_path, cpus):
        argv, environment = agent_command(arguments)
        self.name = " ".join(arguments)
        self._log_path = log_path
        self._log_start = os.path.getsize(log_path) if os.path.exists(log_path) else 0
        self._oom_kills = _oom_kills()
        self._buffer = b""
        with open(log_path, "ab") as log:
            try:
                self._process: Any = subprocess.Popen(
                    argv,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                )
            except OSError as error:
                raise Failure("load", "cannot start a process: %s" % error)
        self.pid = self._process.pid
        try:
            os.sched_setaffinity(self.pid, cpus)
        except OSError:
            pass  # already gone: the first question tells why

    def ask(self, request, deadline_s):
        """Send a request and return the answer (a dict).

        Raises:
            Failure: as the child reported it; ``hang`` when ``deadline_s`` passed (the child is
                killed); ``crash`` or ``out-of-memory`` when it died.
        """
        try:
            self._process.stdin.write(json.dumps(request).encode("utf-8") + b"\n")
        except OSError:
            raise self._death()
        answer = json.loads(self._read_line(time.monotonic() + deadline_s, request, deadline_s))
        if "failure" in answer:
            failure = answer["failure"]
            raise Failure(
                failure["reason"], failure["text"], failure["detail"] + "\n" + self._tail()
            )
        return answer

    def close(self):
        """Let the child end by itself, or end it."""
        self._process.stdin.close()
        try:
            self._process.wait(QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _read_line(self, deadline, request, deadline_s):
        fd = self._process.stdout.fileno()
        chunks = [self._buffer]
        while b"\n" not in chunks[-1]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                self._process.kill()
                self._process.wait()
                raise Failure(
                    "hang",
                    "no answer to '%s' within %.0f s; killed" % (request["do"], deadline_s),
                    self._tail(),
                )
            chunk = os.read(fd, 1 << 20)
            if not chunk:
                raise self._death()
            chunks.append(chunk)
        line, _, self._buffer = b"".join(chunks).partition(b"\n")
        return line.decode("utf-8")

    def _death(self):
        """Failure that says how the child ended."""
        try:
            code = self._process.wait(QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return Failure("crash", "the process closed its answers and was killed", self._tail())
        if code == -signal.SIGKILL:
            return self._killed()
        how = "exit status %d" % code if code >= 0 else signal_name(-code)
        return Failure("crash", "the process died: %s" % how, self._tail())

    def _killed(self):
        now = _oom_kills()
        if now is not None and self._oom_kills is not None and now > self._oom_kills:
            text = "killed by the kernel: out of memory (oom_kill counter rose)"
            return Failure("out-of-memory", text, self._tail())
        hint = "out of memory possible" if now is None else "oom_kill counter unchanged"
        return Failure("crash", "the process died: SIGKILL (%s)" % hint, self._tail())

    def _tail(self):
        """Last part of what this child wrote to stderr."""
        with open(self._log_path, "rb") as log:
            log.seek(max(self._log_start, os.path.getsize(self._log_path) - TAIL_BYTES))
            return log.read().decode("utf-8", "replace").strip()


def signal_name(number):
    """``SIGSEGV`` for 11, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def _oom_kills():
    """How often this kernel killed for memory since boot, ``None`` before Linux 4.13."""
    text = sysfs.read_text("/proc/vmstat") or ""
    for line in text.split("\n"):
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
