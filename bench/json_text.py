"""Reads JSON that somebody else wrote: results folders of others, answers of boards.

Whatever the text is, it ends in plain data of bounded depth, whose numbers arithmetic can hold and
whose texts can be stored again, or in one line that says what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST_DEPTH = 50
MOST_DIGITS = 19
"""Enough for every integer of 63 bits, such as a number of bytes or nanoseconds."""

_HALF_A_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON spells one; whole pairs look the same and are allowed."""


class MalformedJson(ValueError):
    """A text is no JSON, or more than any document of ours holds; the message is one line."""


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that ``data`` (UTF-8) holds.

    Raises:
        MalformedJson: it holds something else, or nests too deeply, or holds numbers or texts that
            no program can pass on.
    """
    try:
        text = data.decode("utf-8-sig")
        document = json.loads(
            text, parse_constant=_refuse, parse_int=_whole_number, parse_float=_real_number
        )
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise MalformedJson("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"it is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise MalformedJson("it holds something else than a JSON object")
    _check_depth(document)
    if _HALF_A_CHARACTER.search(text):
        _check_texts(document)
    return document


def _too_deep() -> MalformedJson:
    return MalformedJson(f"it is nested more than {MOST_DEPTH} levels deep")


def _refuse(constant: str) -> None:
    raise MalformedJson(f"it holds {constant}, which is no JSON")


def _whole_number(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > MOST_DIGITS:
        raise MalformedJson(f"it holds a number of {digits} digits")
    return int(text)


def _real_number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedJson("it holds a number that is too large")
    return value


def _check_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        level = [
            part
            for value in level
            for part in (value.values() if isinstance(value, dict) else value)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def _check_texts(document: dict[str, Any]) -> None:
    left: list[Any] = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and not _is_storable(value):
            raise MalformedJson("it holds a text with half a character")


def _is_storable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
