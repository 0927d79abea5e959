"""What the shapes of the agent's answers are made of (see answers.py)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bench.records.bounded import Number

Name = Annotated[str, Field(max_length=1000)]
Text = Annotated[str, Field(max_length=50_000)]
Names = Annotated[dict[Name, Name], Field(max_length=5000)]
Numbers = Annotated[dict[Name, Number], Field(max_length=5000)]


class Answer(BaseModel):
    """Base of answers and their parts: types are exact, fields that are not known are left out."""

    model_config = ConfigDict(strict=True, extra="ignore")
