"""Fixtures of tests/new_board.py."""

from __future__ import annotations

from new_board import bare_python, bare_python36, new_board

__all__ = ["bare_python", "bare_python36", "new_board"]
