"""What is wrong with a value in a file that people write, in words (for what pydantic found)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.config.yaml_file import shown

_WORDS = {
    "string_type": "must be text (a number in quotes)",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number that is finite",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "path_type": "must be the path of a file",
    "string_pattern_mismatch": "has a character that is not allowed there",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
"""By the type of pydantic's error; each is filled from its context."""


def in_words(problem: Mapping[str, Any]) -> str:
    """Return what one of ``ValidationError.errors()`` says, and the value that it is about."""
    template = _WORDS.get(problem["type"])
    said = problem["msg"].lower() if template is None else template.format(**problem.get("ctx", {}))
    return f"{said} (it is {shown(problem.get('input'))})"
