"""The agent's command line: one command, one JSON document on stdout (see wire.py)."""

import importlib
import json
import sys
from typing import Any, Callable, Dict, Tuple

from bench.agent import board

USAGE = (
    "usage: agent probe ROOT OPTIONS LOCK | restore LOCK | start JOBDIR LOCK | jobs LOCK | "
    "clean LOCK yes|no | status JOBDIR | stop JOBDIR | doctor ROOT OPTIONS LOCK | "
    "provision LOCK KEY WHEELS | unprovision LOCK\n"
)

ANSWERS: Dict[str, Tuple[int, str, str]] = {
    "probe": (3, "probe", "probe"),
    "restore": (1, "launch", "restore"),
    "start": (2, "launch", "start"),
    "jobs": (1, "jobs", "listing"),
    "clean": (2, "clean", "clean"),
    "status": (1, "jobs", "status"),
    "stop": (1, "launch", "stop"),
    "doctor": (3, "doctor", "doctor"),
    "provision": (3, "provision", "provision"),
    "unprovision": (1, "provision", "remove"),
}
"""Commands of the host: name -> number of arguments, module and function that returns the document.
Only what a command uses is imported: from a zip file Python compiles it anew each time."""

PROCESSES: Dict[str, str] = {
    "conduct": "conductor",
    "work": "worker",
    "sample": "sampler",
    "mark": "markers",
}
"""The processes of a measurement: name -> module whose ``main`` takes the list of arguments."""


def main():
    """Do what ``sys.argv`` asks; exit 2 when it cannot be understood."""
    command, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if command in PROCESSES:
        _function(PROCESSES[command], "main")(arguments)
    elif command in ANSWERS and len(arguments) == ANSWERS[command][0]:
        try:
            document = _function(*ANSWERS[command][1:])(*arguments)
        except (board.FolderProblem, board.JobProblem) as problem:
            sys.exit(str(problem))
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stderr.write(USAGE)
        sys.exit(2)


def _function(module: str, name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module("bench.agent." + module), name)  # type: ignore[no-any-return]
