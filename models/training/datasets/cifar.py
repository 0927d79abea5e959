"""CIFAR-100 as its authors distribute it (Krizhevsky 2009): Python pickles or binary records."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from models.training.datasets import files
from models.training.datasets.images import Bytes, DataSet, Indices, Pixels, checked_labels
from models.training.errors import DataError

_PIXELS = 3 * 32 * 32
_RECORD = 2 + _PIXELS  # coarse label, fine label, pixels


def read_cifar100(folder: Path) -> DataSet:
    """Read ``train`` and ``test`` (Python version) or ``train.bin`` and ``test.bin``.

    They lie in the folder itself or in the one that the archive unpacks to. Raises DataError.
    """
    for place in (folder, folder / "cifar-100-python", folder / "cifar-100-binary"):
        for ending, parse in (("", _from_pickle), (".bin", _from_records)):
            paths = [place / f"{part}{ending}" for part in ("train", "test")]
            if not all(path.is_file() for path in paths):
                continue
            contents = [files.content(path) for path in paths]
            train, test = (parse(data, path) for data, path in zip(contents, paths, strict=True))
            return DataSet(
                name="cifar-100",
                classes=100,
                shape=(3, 32, 32),
                mean=(0.5071, 0.4865, 0.4409),
                std=(0.2673, 0.2564, 0.2762),
                train=train,
                test=test,
                digest=files.digest(contents),
            )
    raise DataError(
        f"cifar-100: neither train and test (Python version) nor train.bin and test.bin "
        f"(binary version) in {folder}"
    )


def _from_records(data: bytes, where: Path) -> Pixels:
    if len(data) % _RECORD:
        raise DataError(f"{where}: is cut short: {len(data)} bytes are no multiple of {_RECORD}")
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    return _pixels(records[:, 2:], records[:, 1].astype(np.int64), where)


def _from_pickle(data: bytes, where: Path) -> Pixels:
    try:
        document = _PlainUnpickler(io.BytesIO(data), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception:  # damaged pickles raise almost anything
        raise DataError(f"{where}: is cut short, or no pickle of CIFAR-100") from None
    document = document if isinstance(document, dict) else {}
    images, labels = (document.get(key, document.get(key.decode())) for key in _KEYS)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or not _whole(labels):
        raise DataError(f"{where}: has no bytes 'data' and 'fine_labels' of 0 to 99")
    return _pixels(images, np.asarray(labels, np.int64), where)


_KEYS = (b"data", b"fine_labels")


def _whole(labels: Any) -> bool:
    return isinstance(labels, list) and all(
        isinstance(label, int) and 0 <= label < 100 for label in labels
    )


def _pixels(images: Bytes, labels: Indices, where: Path) -> Pixels:
    if images.ndim != 2 or images.shape[1] != _PIXELS:
        raise DataError(f"{where}: images of {images.shape[1:]} bytes, not of {_PIXELS}")
    checked_labels(labels, len(images), 100, str(where))
    return Pixels(images.reshape(-1, 3, 32, 32), labels, shift=4, mirror=True)


class _PlainUnpickler(pickle.Unpickler):
    """Builds arrays of numbers and nothing else, since a pickle may call any function."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what an array of numbers is made of. Raises UnpicklingError for all else."""
        if (module.replace("numpy._core", "numpy.core"), name) == _RECONSTRUCT:
            return np.ndarray.__reduce__(np.empty(0))[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(
            f"refused: it would call {module}.{name}, which no file of CIFAR-100 does"
        )


_RECONSTRUCT = ("numpy.core.multiarray", "_reconstruct")


def _encode(text: str, encoding: str) -> bytes:
    """What pickles of protocol 2 call for bytes. Raises UnpicklingError for another encoding."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"refused: bytes encoded as {encoding!r}")
    return text.encode("latin1")
