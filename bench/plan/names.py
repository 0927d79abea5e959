"""What was asked for by name: models of the table and of the user, runtimes, weight modes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.errors import ConfigError, suggest
from bench.export.cases import WEIGHT_MODES, find_model
from bench.export.functions import checked_spelling, refuse_other_files
from bench.networks import models as known_models
from bench.runtimes import runtimes as known_runtimes


def resolve_models(
    wanted: Iterable[str],
) -> tuple[tuple[str, ...], dict[str, Path], tuple[str, ...]]:
    """Return the names of all models, each once, and which of them are ONNX files and functions.

    Raises:
        ConfigError: a name is not known, a file is not there, or two models have one name.
    """
    names: list[str] = []
    files: dict[str, Path] = {}
    functions: list[str] = []
    for text in dict.fromkeys(wanted):
        if text.endswith(".onnx"):
            path = Path(text)
            if not path.is_file():
                raise ConfigError(f"{text}: no such ONNX file")
            name = path.stem
            if name in files or name in known_models():
                raise ConfigError(f"{text}: another model is called {name!r} too; rename the file")
            files[name] = path.resolve()
            names.append(name)
        elif ":" in text:
            functions.append(checked_spelling(text))
            names.append(text)
        else:
            if text not in known_models():
                refuse_other_files(text)
            names.append(find_model(text).name)
    return tuple(names), files, tuple(functions)


def resolve_runtimes(wanted: Iterable[str]) -> tuple[str, ...]:
    """Return the names of runtimes, each once.

    Raises:
        ConfigError: one is not known.
    """
    names = tuple(dict.fromkeys(wanted))
    for name in names:
        known_runtimes().find(name)
    return names


def resolve_weights(wanted: Iterable[str]) -> tuple[str, ...]:
    """Return weight modes, each once.

    Raises:
        ConfigError: one is not known.
    """
    names = tuple(dict.fromkeys(wanted))
    for name in names:
        if name not in WEIGHT_MODES:
            raise ConfigError(f"unknown weight mode {name!r}; {suggest(name, WEIGHT_MODES)}")
    return names
