"""The networks that can be measured by name: those of :mod:`models`, and plug-ins."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from bench import plugins
from models import MODELS, ModelSpec


@cache
def models() -> plugins.Table[ModelSpec]:
    """Return the networks by name.

    A plug-in is a :class:`models.ModelSpec`; its ``builder`` may import torch, its module need not.
    """
    return plugins.joined(plugins.MODELS, MODELS, plugins.loads(ModelSpec))


def plugin_sources(name: str) -> str | None:
    """Return a hash of all Python files of the package that builds a plug-in's network, and of
    what its table entry says; ``None`` for a network that ships here.

    An artifact is known by the name of its network, so that this has to tell one edition of a
    plug-in from another, also while somebody edits it.
    """
    known = models()
    if name not in known.plugins:
        return None
    plugin, spec = known.plugins[name], known[name]
    digest = hashlib.sha256(f"{plugin.version} {spec}".encode())
    found = importlib.util.find_spec(spec.builder.partition(":")[0].partition(".")[0])
    if found is not None:
        folders = [Path(folder) for folder in found.submodule_search_locations or ()]
        files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
        if not folders and found.origin is not None:
            files = [Path(found.origin)]
        for path in files:
            digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
