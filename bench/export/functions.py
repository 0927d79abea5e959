"""``package.module:function``: a user's own torch network, as a function returns it."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import models
from bench.errors import ConfigError, suggest
from bench.export.reference import SEED, first_line
from models.spec import require_torch

_SPELLING = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_OURS = ("bench", "models")
_NOT_ONNX = (".pt", ".pth", ".pt2", ".ckpt", ".safetensors", ".tflite", ".pb", ".engine")
_STANDARD = sysconfig.get_path("stdlib")
_INSTALLED = ("site-packages", "dist-packages")
"""Folders of installed packages, which may lie in that of the standard library."""


def checked_spelling(text: str) -> str:
    """Return the text if it is one. Raises ConfigError."""
    file, _, name = text.rpartition(":")
    if _SPELLING.fullmatch(text) and not file.endswith(".py"):
        return text
    meant = f"{_module(file)}:{name}"
    hint = f", here {meant}" if _SPELLING.fullmatch(meant) else ""
    raise ConfigError(f"--model {text}: write it as package.module:function{hint}")


def refuse_other_files(text: str) -> None:
    """Refuse what is meant for a file or folder of a network, and is no ONNX file.

    Raises ConfigError: says what can be given instead.
    """
    path = Path(text)
    if path.suffix == ".py":
        raise ConfigError(
            f"--model {text}: name the function in it that returns the network, as "
            f"{_module(text)}:FUNCTION"
        )
    if path.exists() or path.suffix in _NOT_ONNX or "/" in text:
        what = "a folder" if path.is_dir() else "no ONNX file (FILE.onnx)"
        raise ConfigError(
            f"--model {text}: {what}; give an ONNX file, or package.module:function, a function "
            "that returns a torch network"
        )


def _module(file: str) -> str:
    """What a Python file is called when it is imported: from the current folder, or its own."""
    path = Path(file).with_suffix("") if file.endswith(".py") else Path(file)
    inside = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return path.name if inside.is_absolute() or ".." in inside.parts else ".".join(inside.parts)


def call_function(text: str) -> Any:
    """Import the module from the current folder, or else the installed packages, and call the
    function without arguments; torch draws the same numbers in every process meanwhile.

    Raises:
        ConfigError: it cannot be imported, there is no such function, it takes arguments or fails.
    """
    torch = require_torch()
    module, _, name = text.partition(":")
    with _current_folder_first():
        found = _guarded(text, f"cannot import {module}", lambda: importlib.import_module(module))
        function = getattr(found, name, None)
        if function is None:
            known = [
                each
                for each, value in vars(found).items()
                if callable(value) and getattr(value, "__module__", "") == module
            ]
            raise ConfigError(
                f"--model {text}: {module} has no function {name!r}; {suggest(name, known)}"
            )
        if not callable(function) or isinstance(function, torch.nn.Module):
            kind = type(function).__name__
            raise ConfigError(
                f"--model {text}: {name} is no function but {kind}; name one that returns the "
                "network"
            )
        _require_no_arguments(text, name, function)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return _guarded(text, f"{name}() failed", function)


def place(error: BaseException) -> str:
    """Return where the user's own code was when it met an error, as `` (nets.py, line 3)``, or
    nothing where it had no part in it: neither ours, nor torch or the standard library."""
    ours = (str(Path(__file__).parents[1]), *models.__path__, *require_torch().__path__)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        is_standard = file.is_relative_to(_STANDARD) and not set(_INSTALLED) & set(file.parts)
        if file.is_file() and not is_standard and not any(map(file.is_relative_to, ours)):
            return f" ({file.name}, line {frame.lineno})"
    return ""


def _require_no_arguments(text: str, name: str, function: Callable[..., Any]) -> None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of code that is not Python's; the call will show
        return
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if needed:
        raise ConfigError(
            f"--model {text}: {name}() is called without arguments and needs {', '.join(needed)}; "
            "give them defaults, or name a function that needs none"
        )


def _guarded(text: str, what: str, do: Callable[[], Any]) -> Any:
    """Do something of the user's, whatever it raises."""
    try:
        return do()
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__}: {first_line(error)}"
        if isinstance(error, ModuleNotFoundError):
            problem += _missing(text.partition(":")[0], error)
        elif not isinstance(error, SyntaxError):  # which says itself where it is
            problem += place(error)
        raise ConfigError(f"--model {text}: {what}: {problem}") from None


def _missing(module: str, error: ModuleNotFoundError) -> str:
    """What helps where a module is missing: the one that was named, or one that it imports."""
    package = module.partition(".")[0]
    if error.name is None or not f"{module}.".startswith(f"{error.name}."):
        return f"{place(error)}; install it for {sys.executable}"
    if package in _OURS:
        return f"; the name {package!r} is taken by bench, give yours another"
    return "; it must lie in the current folder or be installed"


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
