"""What each training of the experiment left in its folder, and whether it counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compared_networks import DENSE, Network

MODEL, RESULT = "model.pt", "result.json"


def training_result(network: Network, out: Path, seed: int) -> dict[str, Any] | None:
    """Return what a training came to, ``None`` when it is not over or does not count.

    What starts from the dense network counts only beside that very one of its seed: after the
    dense network was trained anew, differences from it would mix two trainings.
    Raises ValueError when a result is damaged.
    """
    result = _stored(network, out, seed)
    if result is None or started_elsewhere(network, out, seed):
        return None
    return result


def started_elsewhere(network: Network, out: Path, seed: int) -> bool:
    """Whether a finished training started from another dense network than that of its seed.

    Raises as :func:`training_result`.
    """
    result = _stored(network, out, seed)
    if result is None or not network.starts_dense:
        return False
    dense = _stored(Network(network.model, DENSE), out, seed)
    return dense is None or result.get("init_from_sha256") != dense.get("checkpoint_sha256")


def forget(folder: Path) -> None:
    """Have a training done again: its result and its weights go."""
    for name in (RESULT, MODEL):
        (folder / name).unlink(missing_ok=True)


def _stored(network: Network, out: Path, seed: int) -> dict[str, Any] | None:
    try:
        text = (network.folder(out, seed) / RESULT).read_bytes()
    except FileNotFoundError:
        return None
    result: dict[str, Any] = json.loads(text)
    return result
