"""The agent's command line: one command, one JSON document on stdout (see wire.py)."""

import json
import sys
from typing import Any, Dict

from bench.agent import (
    board,
    clean,
    conductor,
    doctor,
    jobs,
    launch,
    markers,
    probe,
    provision,
    sampler,
    worker,
)

USAGE = (
    "usage: agent probe ROOT OPTIONS LOCK | restore LOCK | start JOBDIR LOCK | jobs LOCK | "
    "clean LOCK yes|no | status JOBDIR | stop JOBDIR | doctor ROOT OPTIONS LOCK | "
    "provision LOCK KEY WHEELS | unprovision LOCK\n"
)

ANSWERS: Dict[str, Any] = {
    "probe": (3, probe.probe),
    "restore": (1, launch.restore),
    "start": (2, launch.start),
    "jobs": (1, jobs.listing),
    "clean": (2, clean.clean),
    "status": (1, jobs.status),
    "stop": (1, launch.stop),
    "doctor": (3, doctor.doctor),
    "provision": (3, provision.provision),
    "unprovision": (1, provision.remove),
}
"""Commands of the host: name -> number of arguments and function that returns the document."""

PROCESSES = {
    "conduct": conductor.main,
    "work": worker.main,
    "sample": sampler.main,
    "mark": markers.main,
}
"""The processes of a measurement: name -> function of the list of arguments."""


def main():
    """Do what ``sys.argv`` asks; exit 2 when it cannot be understood."""
    command, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if command in PROCESSES:
        PROCESSES[command](arguments)
    elif command in ANSWERS and len(arguments) == ANSWERS[command][0]:
        try:
            document = ANSWERS[command][1](*arguments)
        except (board.FolderProblem, board.JobProblem) as problem:
            sys.exit(str(problem))
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stderr.write(USAGE)
        sys.exit(2)
