"""The weights file: ONNX external data that the graphs of all weight modes share."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import StringStringEntryProto, TensorProto

ALIGNMENT_BYTES = 64
"""Tensors start at multiples of this, the width of a cache line and of the widest vectors."""


def pack(tensors: Iterable[tuple[str, bytes]]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Lay tensors out one after the other.

    Returns the file's bytes and, by name, (offset, length) in bytes. The same tensors in the
    same order always give the same bytes.
    """
    data = bytearray()
    places = {}
    for name, content in tensors:
        data += bytes(-len(data) % ALIGNMENT_BYTES)
        places[name] = (len(data), len(content))
        data += content
    return bytes(data), places


def refer(tensor: TensorProto, location: str, place: tuple[int, int]) -> None:
    """Make a tensor refer to a place in the weights file ``location`` instead of holding data."""
    for held in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
        tensor.ClearField(held)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(place[0]), "length": str(place[1])}
    tensor.external_data.extend(
        StringStringEntryProto(key=key, value=value) for key, value in entries.items()
    )
