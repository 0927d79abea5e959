"""What settings that users write are made of: their base, texts, paths and refusals."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError


class Settings(BaseModel):
    """Base of what users write: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


OWN_WORDS = "own_words"
"""Type of a problem whose message says it all."""


def refuse(text: str) -> NoReturn:
    """Refuse settings with words that say what to do, and need no value beside them."""
    raise PydanticCustomError(OWN_WORDS, "{text}", {"text": text}) from None


def words(value: Any) -> Any:
    """A command line as one string is split as a shell would; nothing else is expanded."""
    return shlex.split(value) if isinstance(value, str) else value


def _below_home(path: str) -> str:
    """Paths on a board start in the login's home, where no shell is left to expand a ``~``."""
    return path.removeprefix("~/")


# A line break in a name would smuggle further lines into the ssh configuration.
PRINTABLE = r"^[^\x00-\x20\x7f]+$"
NO_CONTROLS = r"^[^\x00-\x1f\x7f]+$"
BoardPath = Annotated[str, Field(min_length=1, pattern=NO_CONTROLS), AfterValidator(_below_home)]


KEY_ITSELF = "key_itself"


def _expanded(path: Path, info: ValidationInfo) -> Path:
    """Relative paths start in the folder of the file that names them."""
    if "PRIVATE KEY" in str(path):
        # Such a message must not repeat what it is about.
        raise PydanticCustomError(
            KEY_ITSELF, "that is a private key; give the path of the file that holds it"
        )
    if not str(path).isprintable():
        raise ValueError("a path has no line breaks or control characters")
    try:
        return (info.context or Path()) / path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


HostPath = Annotated[Path, AfterValidator(_expanded)]
