"""The part of a plug-in that runs on the board: one Python file, packed into the agent.

It must be what the agent itself is: Python 3.6, the standard library (the engine imported where it
is needed), and ``bench.agent``. It is read here and never imported: what drives a board's sensor
need not work on the host.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

from bench.plugins import Unusable

SYNTAX = (3, 6)


@dataclass(frozen=True, slots=True)
class AgentModule:
    """A module to pack: what it is called in its package, and its source."""

    module: str
    source: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of the source."""
        return hashlib.sha256(self.source).hexdigest()


def read_agent_module(module: str, needed: tuple[str, ...]) -> AgentModule:
    """Return a module's source. ``needed``: names that it must define at its top level.

    Raises:
        Unusable: there is no such module, it is no single Python file, or a board's old Python
            could not read it.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise Unusable(f"there is no module {module}")
    if spec.submodule_search_locations is not None or not spec.origin.endswith(".py"):
        raise Unusable(f"{module} is not one Python file, which is what is sent to boards")
    source = Path(spec.origin).read_bytes()
    try:
        # Best effort, as the library says; the board's own Python has the last word.
        tree = ast.parse(source, feature_version=SYNTAX)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise Unusable(
            f"{module}, line {line}: Python 3.6, which boards have, cannot read it ({error})"
        ) from None
    missing = [name for name in needed if name not in _defined(tree)]
    if missing:
        raise Unusable(f"{module} lacks {', '.join(missing)}")
    return AgentModule(module, source)


def _defined(tree: ast.Module) -> set[str]:
    """Names that a module has once it is imported, as far as its top level shows them."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((each.asname or each.name).partition(".")[0] for each in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names
