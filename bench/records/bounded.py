"""Types of numbers from outside: finite, and of a size that arithmetic, charts and JSON can hold.

They bound what is believed when a journal, an answer of a board or a stored document is read. A
float type takes whole numbers too; none takes NaN or infinity.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

LATEST_NS = 1 << 60
"""36 years after the start of a clock."""

_LARGEST = 1e15
_LARGEST_FIGURE = 1e60
_SMALLEST_FIGURE = 1e-30
_WIDEST = 1e150

Nanoseconds = Annotated[int, Field(ge=0, le=LATEST_NS)]
Whole = Annotated[int, Field(ge=-LATEST_NS, le=LATEST_NS)]
Count = Annotated[int, Field(ge=0, le=LATEST_NS)]
Real = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=_LARGEST, allow_inf_nan=False)]
Number = Whole | Real

# What is computed from many of those may be larger.
Figure = Annotated[float, Field(ge=-_LARGEST_FIGURE, le=_LARGEST_FIGURE, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=_LARGEST_FIGURE, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=_SMALLEST_FIGURE, le=_LARGEST_FIGURE, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Bound = Annotated[float, Field(ge=1 / _WIDEST, le=_WIDEST, allow_inf_nan=False)]
"""An end of an interval on a logarithmic scale, which may be very wide."""
