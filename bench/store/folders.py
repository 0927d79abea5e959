"""Which folders of a results folder are runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bench.store.files import MANIFEST_FILE, explained


def run_names(results_dir: Path) -> list[str]:
    """Return the names of the folders of all runs, sorted; none where there is no such folder.

    Raises:
        StoreError: the folder cannot be read.
    """
    if not results_dir.is_dir():
        return []
    with explained("read", results_dir):
        return sorted(entry.name for entry in os.scandir(results_dir) if is_run(entry))


def is_run(folder: Path | os.DirEntry[str]) -> bool:
    """Whether a folder is a run; a hidden one (a run that is being removed) is none."""
    if folder.name.startswith("."):
        return False
    try:
        return stat.S_ISREG((Path(folder) / MANIFEST_FILE).stat().st_mode)
    except PermissionError:
        # It is said why it cannot be opened when it is opened.
        return True
    except OSError:
        return False
