"""Text that no terminal obeys: names from boards and files are data, whatever is in them."""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """Return text with everything but letters, marks, blanks and line breaks made visible.

    Escape sequences move cursors, hide lines and answer as if typed; marks of direction let a line
    read backwards.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


def escaped_json(text: str) -> str:
    """Return a JSON document with the same data, in which nothing else is left to obey either.

    JSON must escape only the control characters below the blank.
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in text
    )
