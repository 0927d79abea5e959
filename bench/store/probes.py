"""What boards told before they measured: a file per device.

In the manifest they would be written again with every further board.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.records.base import SCHEMA_VERSION, Record
from bench.records.facts import ProbeFacts
from bench.store.documents import first_line, parse_document
from bench.store.files import safe_name

FOLDER = "probes"


class Probe(Record):
    """What a device told of itself."""

    schema_version: int = SCHEMA_VERSION
    device: str
    facts: ProbeFacts


def probe_path(run: Path, device: str) -> Path:
    """Return where the facts of a device lie."""
    return run / FOLDER / f"{safe_name(device)}.json"


def encode_probe(device: str, facts: Mapping[str, Any]) -> bytes:
    """Return the facts of a device as they are stored."""
    probe = Probe.model_validate({"device": device, "facts": dict(facts)})
    return probe.model_dump_json(indent=1).encode() + b"\n"


def read_probes(run: Path) -> tuple[dict[str, ProbeFacts], list[str]]:
    """Return the facts of a run's devices by name, and what could not be read, in words.

    Raises:
        StoreError: a newer version of this program wrote them.
    """
    found: dict[str, ProbeFacts] = {}
    problems = []
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            probe = parse_document(Probe, path.read_bytes(), path)
            found[probe.device] = probe.facts
        except (OSError, ValueError) as error:
            problems.append(f"{FOLDER}/{path.name} is damaged: {first_line(error)}")
    return found, problems
