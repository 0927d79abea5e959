"""The folder of one training: its state while it goes on, then the network and the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.training.checkpoint import FORMAT, TrainedModel, packed, packed_model, read, sha256
from models.training.errors import CheckpointError, TrainingError

STATE = "training.pt"
MODEL = "model.pt"
RESULT = "result.json"

Write = Callable[[Path, bytes], None]
"""Writes a file so that a crash leaves the old one or the new one, never half of one."""


class Folder:
    """Files of one training; nothing of another one is ever overwritten."""

    def __init__(self, path: Path, write: Write) -> None:
        self.path = path
        self._write = write

    def result(self, facts: Mapping[str, Any], *, resume: bool) -> dict[str, Any] | None:
        """Return what the training came to if it is over, None if it has still to be done.

        Raises TrainingError when a training is here already and is not to be resumed,
        CheckpointError when it is another one.
        """
        path = self.path / RESULT
        if not path.exists():
            unfinished = (self.path / STATE).exists()
            if not unfinished and (self.path / MODEL).exists():
                raise TrainingError(
                    f"{self.path} holds a {MODEL} without its {RESULT}; name another folder"
                )
            if unfinished and not resume:
                raise TrainingError(
                    f"{self.path} holds an unfinished training; add --resume to go on with it, or "
                    "name another folder"
                )
            return None
        if not resume:
            raise TrainingError(f"{self.path} holds a finished training; name another folder")
        result = stored_result(self.path)
        assert result is not None
        _check_same(path, facts, result)
        return result

    def state(self, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the state after the last whole epoch, None when there is none.

        Raises CheckpointError when it cannot be read or is of another training.
        """
        path = self.path / STATE
        if not path.exists():
            return None
        state = read(path)
        if state.get("format") != FORMAT or "facts" not in state:
            raise CheckpointError(f"{path}: is no state of a bench train of this version")
        _check_same(path, facts, state["facts"])
        return state

    def keep(self, facts: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Keep the state after an epoch in place of the one before."""
        document = {"format": FORMAT, "facts": dict(facts), **state}
        self._write(self.path / STATE, packed(document))

    def finish(self, trained: TrainedModel, result: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the network and the results; the state is of no more use. Returns the results."""
        data = packed_model(trained)
        self._write(self.path / MODEL, data)
        result = {**result, "checkpoint": MODEL, "checkpoint_sha256": sha256(data)}
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
        self._write(self.path / RESULT, f"{text}\n".encode())
        (self.path / STATE).unlink()
        return result


def stored_result(folder: Path) -> dict[str, Any] | None:
    """Return what the finished training in a folder came to, None when there is none.

    Raises CheckpointError when its file is damaged.
    """
    path = folder / RESULT
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise CheckpointError(f"{path}: is cut short or damaged") from None


def _check_same(path: Path, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        other = found.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            _check_same(path, value, other)
        elif value != other:
            raise CheckpointError(
                f"{path}: is of a training with {name.replace('_', ' ')} {other}, not {value}; "
                "name another folder"
            )
