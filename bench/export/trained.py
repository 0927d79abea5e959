"""Trained weights as ``bench train`` leaves them: which network they are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.config.field_problems import in_words
from bench.errors import ConfigError
from bench.json_text import MalformedJson, parse_object
from bench.records.artifact import TrainingFacts
from models import Scheme, SchemeError

RESULT = "result.json"


def trained_networks(folder: Path) -> dict[str, Path]:
    """Return the checkpoints of finished trainings in a folder and below it, by network_name.

    Of several of one network that with the lowest seed counts: the choice must not depend on how
    well it did.

    Raises:
        ConfigError: there is no such folder, or no finished training in it, or a result in it is
            damaged.
    """
    if not folder.is_dir():
        raise ConfigError(f"--trained: no such folder: {folder}")
    found: dict[str, tuple[int, str, Path]] = {}
    for path in sorted(folder.rglob(RESULT)):
        try:
            result = parse_object(path.read_bytes())
            name = network_name(result["model"], Scheme.parse(result["scheme"]))
            training = _facts_of(result)
            entry = (training.seed, str(path), path.with_name(result["checkpoint"]))
        except _DAMAGED as error:
            raise _no_result(path, error) from None
        if not entry[2].is_file():
            raise ConfigError(f"--trained: {path}: its checkpoint {entry[2].name} is gone")
        found[name] = min(found.get(name, entry), entry)
    if not found:
        raise ConfigError(f"--trained: {folder} has no finished training ({RESULT}) in it")
    return {name: path for name, (_, _, path) in found.items()}


def training_facts(checkpoint: Path) -> TrainingFacts:
    """Return what the result beside a checkpoint says of its training.

    Raises ConfigError when it is damaged or gone.
    """
    path = checkpoint.with_name(RESULT)
    try:
        return _facts_of(parse_object(path.read_bytes()))
    except _DAMAGED as error:
        raise _no_result(path, error) from None


_DAMAGED = (MalformedJson, SchemeError, KeyError, TypeError, ValueError, OSError)


def _facts_of(result: Mapping[str, Any]) -> TrainingFacts:
    return TrainingFacts.model_validate(
        {name: result[name] for name in TrainingFacts.model_fields if name in result}
    )


def _no_result(path: Path, error: Exception) -> ConfigError:
    words = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        words = f"{'.'.join(map(str, first['loc']))}: {in_words(dict(first))}"
    return ConfigError(f"--trained: {path}: is no result of bench train: {words}")


def network_name(model: str, scheme: Scheme) -> str:
    """A model and its scheme, in one form."""
    return f"{model} {scheme}"
