"""Inputs that are bound once: coefficients that the engine must not take for constants.

A small JSON file beside the graph says where their values lie in the shared weights file:
``{"inputs": {name: {"file", "offset", "bytes", "shape", "dtype"}}}``.
"""

import json
import os
from collections import OrderedDict

from bench.agent.failure import Failure


def read(path):
    """``{name: array}`` of all bound inputs; empty for ``None``.

    Raises:
        Failure: the file is none, or does not fit its weights file.
    """
    arrays = OrderedDict()
    if path is None:
        return arrays
    try:
        with open(path, encoding="utf-8") as stream:
            inputs = json.load(stream)["inputs"]
        for name in sorted(inputs):
            arrays[name] = _values(os.path.dirname(path), **inputs[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure("load", "the bound inputs of %s cannot be read: %s" % (path, error))
    return arrays


def _values(folder, file, offset, bytes, shape, dtype):
    import numpy

    if os.path.basename(file) != file:
        raise ValueError("%r is no name of a file beside it" % file)
    with open(os.path.join(folder, file), "rb") as stream:
        stream.seek(offset)
        data = stream.read(bytes)
    if len(data) != bytes:
        raise ValueError("%s ends before byte %d" % (file, offset + bytes))
    return numpy.frombuffer(data, dtype=dtype).reshape(shape)
