"""What values the graph that a runtime executes has in it."""

from __future__ import annotations

import numpy as np


def holds(initializers: list[np.ndarray], weight: np.ndarray) -> bool:
    """Whether one of them has the weight's values: blocked layouts reorder and pad with zeros."""
    wanted = np.sort(weight.ravel())
    for value in initializers:
        found = np.sort(value[value != 0])
        if found.size == wanted.size and np.allclose(found, wanted, atol=1e-5):
            return True
    return False
