"""Sees every line that a board writes into its journals, and keeps it whatever becomes of them.

It shares no code with what it watches over: a journal line is ``<json>\\t<crc32 in hex>\\n``.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any


class Witness:
    """``lines``: by job, all whole lines that its journal has ever had, in order.

    Each journal gets a second name (a hard link) as soon as it is seen, so that it outlives its
    folder; what is cut off or written over later has been read by then, as ``look`` is called
    every few milliseconds and whenever a fault strikes.
    """

    def __init__(self, jobs: Path, kept: Path) -> None:
        self._jobs = jobs
        self._kept = kept
        self._read: dict[Path, int] = {}
        self.lines: dict[str, dict[bytes, None]] = {}
        kept.mkdir()

    def look(self) -> None:
        """Read what is new."""
        for journal in self._jobs.glob("*/journal.jsonl"):
            kept = self._kept / f"{journal.parent.name}.jsonl"
            if not kept.exists():
                with suppress(FileNotFoundError):
                    os.link(journal, kept)
            self._read_on(journal.parent.name, journal)
        for kept in self._kept.glob("*.jsonl"):
            self._read_on(kept.stem, kept)

    def _read_on(self, job_id: str, path: Path) -> None:
        try:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read[path] = self._read.get(path, 0) + len(whole)
        # A journal that was replaced by a shorter one is read again from its beginning.
        if not data and path.stat().st_size < self._read[path]:
            self._read[path] = 0
        lines = self.lines.setdefault(job_id, {})
        lines.update(dict.fromkeys(line for line in whole.splitlines() if record(line) is not None))


def record(line: bytes) -> dict[str, Any] | None:
    """What a journal line holds, ``None`` when it is not whole."""
    text, _, check = line.rpartition(b"\t")
    if check != b"%08x" % zlib.crc32(text):
        return None
    document: dict[str, Any] = json.loads(text)
    return document
