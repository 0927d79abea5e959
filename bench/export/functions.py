"""``package.module:function``: a user's own torch network, as a function returns it."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import ConfigError, suggest
from bench.export.reference import SEED, first_line
from models.spec import require_torch

_SPELLING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_OURS = ("bench", "models")


def checked_spelling(text: str) -> str:
    """Return the text if it is one. Raises ConfigError."""
    if not _SPELLING.fullmatch(text):
        raise ConfigError(f"--model {text}: write it as package.module:function")
    return text


def call_function(text: str) -> Any:
    """Import the module from the current folder, or else the installed packages, and call the
    function without arguments; torch draws the same numbers in every process meanwhile.

    Raises:
        ConfigError: it cannot be imported, there is no such function, or it fails.
    """
    torch = require_torch()
    module, _, name = text.partition(":")
    with _current_folder_first():
        found = _guarded(text, f"cannot import {module}", lambda: importlib.import_module(module))
        function = getattr(found, name, None)
        if function is not None and not callable(function):
            raise ConfigError(
                f"--model {text}: {name} is no function but {type(function).__name__}"
            )
        if function is None:
            known = [
                each
                for each, value in vars(found).items()
                if callable(value) and getattr(value, "__module__", "") == module
            ]
            raise ConfigError(
                f"--model {text}: {module} has no function {name!r}; {suggest(name, known)}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return _guarded(text, f"{name}() failed", function)


def _guarded(text: str, what: str, do: Callable[[], Any]) -> Any:
    """Do something of the user's, whatever it raises."""
    try:
        return do()
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__}: {first_line(error)}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        if not isinstance(error, ModuleNotFoundError):
            problem += f" ({Path(last.filename).name}, line {last.lineno})"
        elif text.split(".")[0] in _OURS:
            problem += f"; the name {text.split('.')[0]!r} is taken by bench, give yours another"
        raise ConfigError(f"--model {text}: {what}: {problem}") from None


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Afterwards the folder stays, in the last place: what the network imports later is found, and
    a file there cannot take the place of a package that others import."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
