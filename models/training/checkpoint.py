"""What a training leaves behind, and how it is read again without running code from the file."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import MODELS, state_dict
from models.scheme import Scheme, SchemeError
from models.training.errors import CheckpointError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained network: everything that its use takes.

    ``model`` is a name of the table, ``scheme`` a spelling, ``state_dict`` that of
    ``MODELS[model].architecture(Scheme.parse(scheme))``. Images of ``data`` are normalised as
    (x / 255 - mean) / std per channel. ``top1`` is the share of right answers (0 to 1) on the
    images that were held out for selection, in the epoch (from 1) that was selected.
    """

    model: str
    scheme: str
    data: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    epoch: int
    top1: float
    state_dict: dict[str, Tensor]

    def network(self) -> nn.Module:
        """Return the network with its trained weights, in evaluation mode, without gradients.

        Raises CheckpointError when the table's network is another by now.
        """
        try:
            spec, scheme = MODELS[self.model], Scheme.parse(self.scheme)
            with torch.random.fork_rng(devices=[]):
                network = spec.architecture(scheme)
        except (KeyError, SchemeError) as error:
            raise CheckpointError(
                f"{self.model} with scheme {self.scheme} cannot be made here: {error}"
            ) from None
        load_state(network, self.state_dict, f"the checkpoint of {self.model}, {self.scheme}")
        return network.eval().requires_grad_(False)


def packed(document: Mapping[str, Any]) -> bytes:
    """Return a checkpoint's bytes; the same content gives the same bytes."""
    buffer = io.BytesIO()
    torch.save(dict(document), buffer)
    return buffer.getvalue()


def packed_model(trained: TrainedModel) -> bytes:
    """Return the bytes of the file that :func:`read_model` reads."""
    fields = {name: getattr(trained, name) for name in TrainedModel.__slots__}
    return packed({"format": FORMAT, **fields})


def read(path: Path) -> dict[str, Any]:
    """Read a file of tensors and plain data. Raises CheckpointError."""
    data = read_bytes(path)
    try:
        _check_whole(data)
        document = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise CheckpointError(
                f"{path}: refused: it holds more than tensors and plain data, and reading it "
                "would run code"
            ) from None
        raise CheckpointError(_damaged(path)) from None
    except Exception:  # damaged files raise almost anything
        raise CheckpointError(_damaged(path)) from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: holds {type(document).__name__}, not a checkpoint")
    return document


def read_bytes(path: Path) -> bytes:
    """Return a checkpoint file's bytes. Raises CheckpointError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"no such checkpoint: {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None


def read_model(path: Path) -> TrainedModel:
    """Read the ``model.pt`` of a training. Raises CheckpointError."""
    document = read(path)
    if "state_dict" not in document or document.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not the model.pt of a bench train of this version")
    try:
        return TrainedModel(**{name: document[name] for name in TrainedModel.__slots__})
    except KeyError as error:
        raise CheckpointError(f"{path}: lacks {error}") from None


def load_state(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Load a state dict into a network of just that shape. Raises CheckpointError."""
    try:
        state_dict.load(network, state)
    except state_dict.Misfit as error:
        raise CheckpointError(f"{where} {error}") from None


def sha256(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _check_whole(data: bytes) -> None:
    """Raise BadZipFile when a part differs from its checksum: torch itself does not look."""
    file = io.BytesIO(data)
    if zipfile.is_zipfile(file):  # older files of torch are none
        with zipfile.ZipFile(file) as archive:
            part = archive.testzip()
        if part is not None:
            raise zipfile.BadZipFile(part)


def _damaged(path: Path) -> str:
    return f"{path}: is cut short or damaged, or no checkpoint at all"
