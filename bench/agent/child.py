"""The conductor's handle on one of its processes: questions with deadlines, death explained.

A child reads one JSON object a line on stdin and answers each with one on stdout. Its stderr
goes to a file, so that nothing it prints can block it or disturb a measurement. It inherits the
board's lease, and the kernel ends it when the conductor dies, even inside an engine's call.
"""

import ctypes
import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
from typing import Any

from bench.agent import oom
from bench.agent.failure import Failure

AGENT_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The zipapp, or the folder that holds the package ``bench``."""

QUIT_S = 5.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
TAIL_BYTES = 4000


def agent_command(arguments, agent=AGENT_ROOT):
    """``(argv, environment)`` that run an agent, mostly this very one, with this very Python."""
    environment = numpy_environment()
    if os.path.isfile(agent):
        return [sys.executable, agent] + arguments, environment
    environment["PYTHONPATH"] = agent
    return [sys.executable, "-m", "bench.agent"] + arguments, environment


def numpy_environment():
    """The environment for a process that imports numpy, and maybe an engine and CUDA."""
    environment = dict(os.environ)
    # Newer releases of ONNX Runtime (1.32 does) collect what they do, with a thread and a database
    # of their own, and report it over the network: not from a board, nor beside a measurement.
    environment["ORT_DISABLE_TELEMETRY"] = "1"
    # numpy's own thread pool would only add memory: it computes nothing that is measured.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    # CUDA's first GPU is then that of NVML, which tells energy and memory, and not the fastest.
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if platform.machine() == "aarch64":
        # numpy 1.19.5 dies of SIGILL on Jetson Nano and TX2 without it.
        environment.setdefault("OPENBLAS_CORETYPE", "ARMV8")
    return environment


class Child(object):
    """A process of the agent. Every way it can fail, from its start on, raises Failure from
    ``ask``."""

    def __init__(self, arguments, log_path, cpus, lock_fd, root):
        argv, environment = agent_command(arguments + [str(lock_fd)])
        self._log_path = log_path
        self._log_start = os.path.getsize(log_path) if os.path.exists(log_path) else 0
        self._oom = oom.Watch(root)
        self._buffer = b""
        self._is_given_up = False
        self._process: Any = None
        self._no_start = ""
        try:
            with open(log_path, "ab") as log:
                self._process = subprocess.Popen(
                    argv,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                    pass_fds=(lock_fd,),
                    preexec_fn=dies_with(os.getpid()),
                )
        except OSError as error:
            self._no_start = "cannot start a process: %s" % error
            return
        try:
            os.sched_setaffinity(self._process.pid, cpus)
        except OSError:
            pass  # already gone: the first question tells why

    def ask(self, request, deadline_s):
        """Send a request and return the answer (a dict).

        Raises:
            Failure: as the child reported it; ``hang`` when ``deadline_s`` passed (the child is
                killed); ``crash`` or ``out-of-memory`` when it died.
        """
        if self._process is None:
            raise Failure("load", self._no_start)
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
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(0 if self._is_given_up else QUIT_S)
        except subprocess.TimeoutExpired:
            self._kill()
        self._process.stdout.close()

    def _read_line(self, deadline, request, deadline_s):
        fd = self._process.stdout.fileno()
        chunks = [self._buffer]
        while b"\n" not in chunks[-1]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                text = "no answer to '%s' within %.0f s; %s"
                said = text % (request["do"], deadline_s, self._kill())
                raise Failure("hang", said, self._tail())
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
            text = "the process closed its answers: %s" % self._kill()
            return Failure("crash", text, self._tail())
        if code == -signal.SIGKILL:
            return self._killed()
        how = "exit status %d" % code if code >= 0 else signal_name(-code)
        return Failure("crash", "the process died: %s" % how, self._tail())

    def _kill(self):
        """End the process; a word on whether that succeeded."""
        self._process.kill()
        try:
            self._process.wait(0 if self._is_given_up else QUIT_S)
        except subprocess.TimeoutExpired:
            # In a driver that does not answer; it ends when the kernel lets go of it.
            self._is_given_up = True
            return "killed, but stuck in the kernel"
        return "killed"

    def _killed(self):
        is_oom, evidence = self._oom.has_killed(self._process.pid)
        if is_oom:
            text = "killed by the kernel: out of memory (%s)" % evidence
            return Failure("out-of-memory", text, self._tail())
        return Failure("crash", "the process died: SIGKILL (%s)" % evidence, self._tail())

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


def dies_with(parent):
    """What a new process is to do before it becomes a program: to end when its parent does."""

    def bind():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it ended just before

    return bind
