"""Reads the YAML files that people write.

Whatever a file holds costs little time and memory and ends in one :class:`bench.errors.ConfigError`
line or in plain data: a file may come from somebody else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from bench.errors import ConfigError

MOST_BYTES = 1 << 20
MOST_VALUES = 20_000
MOST_DIGITS = 18
MOST_BRACKETS = 100
SHOWN_CHARACTERS = 60

_BRACKET = re.compile(r"[\[\]{}]")


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds: mappings, lists, text, numbers.

    Raises:
        ConfigError: it cannot be read or is not YAML (the message names line and column), or it is
            far larger than any file that a person writes, aliases counted each time.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{str(path)!r} is no file name") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{path}: is larger than {MOST_BYTES >> 20} MiB; that is no such file")
    try:
        text = data.decode("utf-8")
        _check_depth(path, text)
        # The C parser would overflow its stack on deep nesting.
        node = YAML(typ="safe", pure=True).compose(text)
        _check_size(path, node)
        return YAML(typ="safe", pure=True).load(text)
    except ConfigError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        problem = _line(str(error.problem or error.context or "not valid YAML"))
        raise ConfigError(f"{path}{place}: {problem}; fix the YAML there") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply; fix the YAML there") from None
    except Exception as error:
        # The parser stumbles over many malformed values (dates, numbers) in ways of its own.
        problem = _line(str(error) or type(error).__name__)
        raise ConfigError(f"{path}: not valid YAML: {problem}") from None


def shown(value: object) -> str:
    """Return a value of a file for a message: short and on one line; of mappings and lists only
    what they are, since they may hold anything."""
    if isinstance(value, dict | list | tuple | set):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _check_depth(path: Path, text: str) -> None:
    """Refuse many open brackets at once, for which the parser takes minutes (those in quotes
    count too)."""
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found.group() in "[{" else -1
        if depth > MOST_BRACKETS:
            raise ConfigError(f"{path}: is nested too deeply; fix the YAML there")


def _check_size(path: Path, top: Node | None) -> None:
    """Refuse what would grow beyond all measure when aliases are followed (or never end)."""
    left, count = [top], 0
    while left:
        node = left.pop()
        count += 1
        if count > MOST_VALUES:
            raise ConfigError(
                f"{path}: holds more than {MOST_VALUES} values (aliases counted each time); "
                "that is no such file"
            )
        if isinstance(node, ScalarNode):
            _check_scalar(path, node)
        elif isinstance(node, MappingNode):
            left += [part for pair in node.value for part in pair]
        elif node is not None:
            left += node.value


def _check_scalar(path: Path, node: ScalarNode) -> None:
    place = f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
    if (node.tag or "").endswith(":int") and len(node.value) > MOST_DIGITS:
        raise ConfigError(f"{place}: a number of {len(node.value)} digits is too large")
    try:
        node.value.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"{place}: a text with half a character; fix its escapes") from None


def _line(text: str) -> str:
    """Return the first line of what the parser said, without control characters."""
    first = (text.splitlines() or [""])[0]
    return "".join(letter if letter.isprintable() else "?" for letter in first)[:200]
