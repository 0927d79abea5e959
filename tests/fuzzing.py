"""How the fuzz tests of the everyday suite run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def fuzz(examples: int) -> settings:
    """Settings for ``examples`` inputs that are the same everywhere, so that a failure is one of
    the change at hand; machines are slow and busy, so nothing is said about time."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )
