"""Which runtimes a board has, from its probe, and what to do about one that is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from bench.errors import AgentError
from bench.runtimes import runtimes


def require_any(runtimes: Iterable[str], probe: Mapping[str, Any]) -> None:
    """Refuse a board that has none of these runtimes, or no numpy.

    Raises:
        AgentError: with what to do about the first one.
    """
    problems = {name: runtime_problem(name, probe) for name in runtimes}
    if problems and None not in problems.values():
        raise AgentError(next(filter(None, problems.values())))


def runtime_problem(name: str, probe: Mapping[str, Any]) -> str | None:
    """Return in one line why a runtime cannot be used on a board, ``None`` if it can."""
    python = probe["python"]["executable"]
    for package, facts in (("numpy", probe["numpy"]), (name, probe["runtimes"].get(name))):
        if facts is None:
            fix = runtimes()[name].fix.format(python=shlex.quote(python))
            return f"{python} has no {package}; on the board: {fix}"
        if facts["problem"]:
            return f"{package} cannot be used with {python}: {facts['problem']}"
    return None
