"""The base of everything that is stored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Record(BaseModel):
    """Base of stored records: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
