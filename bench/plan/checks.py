"""What is wrong or odd about a plan as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bench.config.power_settings import PowerSettings
from bench.errors import ConfigError
from bench.plan.plan import Plan, expand, fits, refusal
from bench.power.choice import asked
from bench.records.case import Case


def require_runnable(plan: Plan, cases: Iterable[Case]) -> None:
    """Refuse a plan of which nothing would be measured.

    Raises:
        ConfigError: there is no case, or each has a reason not to run; the message has the first.
    """
    reasons = [refusal(plan, case) for case in cases]
    if not reasons:
        raise ConfigError("the plan has no case; 'exclude' takes all of them out")
    if None not in reasons:
        raise ConfigError(f"no case of the plan can run; the first one: {reasons[0]}")


def require_power(plan: Plan, devices: Mapping[str, PowerSettings]) -> None:
    """Refuse a power sensor that a plan names and a device has no settings for.

    Raises:
        ConfigError: the message names the device and the setting.
    """
    for name, settings in devices.items():
        try:
            asked(settings, plan.power)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None


def loose_ends(plan: Plan, devices: Mapping[str, int]) -> list[str]:
    """Return what in a plan has no effect, a line each: most likely a value is misspelt.

    ``devices`` maps the names of devices to their own setting of threads.
    """
    whole = replace(plan, exclude=(), overrides=())
    cases = [case for name, threads in devices.items() for case in expand(whole, name, threads)]
    entries = [("exclude", where) for where in plan.exclude]
    entries += [("overrides", override.where) for override in plan.overrides]
    return [
        f"{key}: no case has {', '.join(f'{name} {value!r}' for name, value in where.items())}"
        for key, where in entries
        if not any(fits(case, where) for case in cases)
    ]
