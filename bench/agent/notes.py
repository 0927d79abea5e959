"""The small JSON files that the processes of a job leave in its folder for each other."""

import json
import os

CONDUCTOR_FILE = "conductor.json"
"""Which process conducts the job (as identity.py has it); before there is one, which starts it."""
PROGRESS_FILE = "progress.json"
"""What is left of the job, as the conductor last reckoned it."""


def write(path, document):
    """Replace a file as a whole: it may be read by other processes at any time."""
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    os.rename(temporary, path)


def read(path):
    """The dict that a file holds, ``None`` when it is missing or was lost in a power cut."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
