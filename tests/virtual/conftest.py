"""Virtual boards take minutes: their tests run only when they are asked for by their marker."""

from __future__ import annotations

import pytest

MARKER = "virtual_board"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of virtual boards out unless ``-m`` names them.

    Not by ``-m`` in addopts: another ``-m`` would take its place, and bring them all back.
    """
    if MARKER in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker(MARKER)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
