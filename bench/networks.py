"""The networks that can be measured by name: those of :mod:`models`, and plug-ins."""

from __future__ import annotations

from functools import cache

from bench import plugins
from models import MODELS, ModelSpec


@cache
def models() -> plugins.Table[ModelSpec]:
    """Return the networks by name.

    A plug-in is a :class:`models.ModelSpec`; its ``builder`` may import torch, its module need not.
    """
    return plugins.joined(plugins.MODELS, MODELS, plugins.loads(ModelSpec))
