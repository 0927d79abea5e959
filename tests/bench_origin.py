"""The process that those of `bench_forks` are forked from. Imports nothing else of the tests."""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

MOST_REQUEST_BYTES = 1 << 20
IMPORTED = """
bench.cli.attach bench.cli.devices bench.cli.report bench.cli.results_list bench.cli.results_show
bench.cli.run bench.cli.status bench.cli.status_watch bench.device.ssh bench.report.page
bokeh.embed bokeh.plotting matplotlib.backends.backend_agg matplotlib.backends.backend_svg
"""
"""What commands import once they need it, most of all for the report. Not onnxruntime: it starts
threads, which would be missing in what is forked, and waited for at its end."""


def bench(descriptor: int) -> int:
    """Fork a process for every request until there can be none; return what bench returns in it."""
    main = importlib.import_module("bench.cli").main
    for module in IMPORTED.split():
        importlib.import_module(module)
    sys.path.remove(str(Path(__file__).parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for a process is waited for by none
    gc.freeze()  # what is here already is no garbage of a process that is forked: not to be walked
    requests = socket.socket(fileno=descriptor)
    while True:
        request, passed, _, _ = socket.recv_fds(requests, MOST_REQUEST_BYTES, 3)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            break
        for each in passed:
            os.close(each)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid != 0:
        _wait_for(pid, passed)
    arguments, folder, environment, limit_bytes = json.loads(request)
    os.dup2(passed[0], 1)
    os.dup2(passed[1], 2)
    for each in passed:
        os.close(each)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    return main()


def _wait_for(pid: int, passed: list[int]) -> NoReturn:
    """Tell the id of a process, and how it ended, as ``Popen.returncode`` does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.close(passed[0])
    os.close(passed[1])
    os.write(passed[2], f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(passed[2], f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)
