"""Which runtimes a board has, from its probe, and what to do about one that is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from bench.errors import AgentError
from bench.runtimes import runtimes

PROVIDED = frozenset({"numpy", "onnxruntime", "onnxruntime-optimized"})
"""What ``bench devices provision`` brings."""


def require_any(runtimes: Iterable[str], probe: Mapping[str, Any], device: str) -> None:
    """Refuse a board that has none of these runtimes, or no numpy.

    Raises:
        AgentError: with what to do about the first one.
    """
    problems = {name: runtime_problem(name, probe, device) for name in runtimes}
    if problems and None not in problems.values():
        raise AgentError(next(filter(None, problems.values())))


def runtime_problem(name: str, probe: Mapping[str, Any], device: str) -> str | None:
    """Return in one line why a runtime cannot be used on a board, ``None`` if it can.

    ``device``: what the board is called, for the command that helps.
    """
    python = probe["python"]["executable"]
    for package, facts in (("numpy", probe["numpy"]), (name, probe["runtimes"].get(name))):
        if facts is None:
            fix = runtimes()[name].fix.format(python=shlex.quote(python))
            provided = ""
            if package in PROVIDED:
                command = shlex.join(["bench", "devices", "provision", device])
                provided = f"`{command}` puts it there without root, or "
            return f"{python} has no {package}; {provided}on the board: {fix}"
        if facts["problem"]:
            return f"{package} cannot be used with {python}: {facts['problem']}"
    return None
