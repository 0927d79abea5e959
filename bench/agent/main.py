"""The agent's command line: one command, one JSON document on stdout (see wire.py)."""

import json
import sys
from typing import Any, Dict

from bench.agent import conductor, launch, probe, sampler, worker

USAGE = "usage: agent probe ROOT OPTIONS | restore | start JOBDIR | status JOBDIR | stop JOBDIR\n"

ANSWERS: Dict[str, Any] = {
    "probe": (2, probe.probe),
    "restore": (0, launch.restore),
    "start": (1, launch.start),
    "status": (1, launch.status),
    "stop": (1, launch.stop),
}
"""Commands of the host: name -> number of arguments and function that returns the document."""

PROCESSES = {"conduct": conductor.main, "work": worker.main, "sample": sampler.main}
"""The three processes of a measurement: name -> function of the list of arguments."""


def main():
    """Do what ``sys.argv`` asks; exit 2 when it cannot be understood."""
    command, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if command in PROCESSES:
        PROCESSES[command](arguments)
    elif command in ANSWERS and len(arguments) == ANSWERS[command][0]:
        document = ANSWERS[command][1](*arguments)
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stderr.write(USAGE)
        sys.exit(2)
