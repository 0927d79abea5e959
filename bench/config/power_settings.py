"""Settings of where power figures come from: a sensor on the board, a meter on this host."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from bench.config.settings import NO_CONTROLS, BoardPath, Settings, refuse, words
from bench.errors import ConfigError
from bench.meters import meters
from bench.meters.meter import MeterOptions
from bench.records.power import PowerCalibration
from bench.sensors import require_sensor, sensors


class EstimateModel(Settings):
    """A stated power model for boards without a sensor: P = idle + (busy - idle) · CPU use."""

    idle_w: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    busy_w: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _busy_is_more(self) -> EstimateModel:
        if self.busy_w < self.idle_w:
            raise ValueError("busy_w must not be below idle_w")
        return self


class ReplayFile(Settings):
    """A recorded power trace on the board that stands in for a sensor."""

    path: BoardPath
    scope: str = "replayed"
    loop: bool = False


class MeterCommand(Settings):
    """A program on the board that prints lines ``unix_time watts``; ``scope``: what it covers."""

    run: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(words)]
    scope: Annotated[str, Field(min_length=1)]


def _known_sensor(name: str) -> str:
    try:
        return require_sensor(name)
    except ConfigError as error:
        refuse(str(error))


class PowerSettings(Settings):
    """Where a device's power figures come from.

    ``sensor``: a sensor's name, ``auto`` (the best one found on the board) or ``none``.
    ``total``: channels whose sum is the total, when the board's own rule does not fit.
    ``period_s``: time between two readings. ``options``: what a plug-in's sensor is told.
    ``calibration``: what corrects the sensor (``bench devices calibrate``).
    """

    sensor: Annotated[str, AfterValidator(_known_sensor)] = "auto"
    total: tuple[str, ...] | None = None
    scope: str | None = None
    period_s: Annotated[float, Field(gt=0, le=10)] = 0.005
    estimate: EstimateModel | None = None
    replay: ReplayFile | None = None
    command: MeterCommand | None = None
    options: dict[str, JsonValue] | None = None
    calibration: PowerCalibration | None = None

    @property
    def is_named(self) -> bool:
        """Whether one sensor, or the rails of a total, are meant and no others."""
        return self.sensor != "none" and (self.sensor != "auto" or self.total is not None)

    @property
    def lacks(self) -> str:
        """What the sensor that is named needs and does not have, in words; empty if nothing."""
        needing = ("command", "replay", "estimate")
        if self.sensor not in needing or getattr(self, self.sensor) is not None:
            return ""
        return (
            f"the power sensor {self.sensor!r} needs power.{self.sensor} in devices.yaml; add it, "
            "or name another sensor"
        )

    @model_validator(mode="after")
    def _has_what_its_sensor_needs(self) -> PowerSettings:
        if self.lacks:
            refuse(self.lacks)
        return self

    @model_validator(mode="after")
    def _options_of_a_plugin(self) -> PowerSettings:
        if self.options is not None and self.sensor not in sensors().plugins:
            refuse("power.options are for the sensor of a plug-in, named as power.sensor")
        return self


class MeterSettings(Settings):
    """An external power meter that this host reads while the device measures.

    ``scope``: what it measures ("board input", "wall"). ``reading``: whether a reading is the mean
    over the meter's period or the power of an instant; ``auto`` lets the load markers tell.
    ``gain_error``: of its data sheet, relative. ``command``, ``serial``, ``voltage_v``: see
    :class:`bench.meters.meter.MeterOptions`.
    """

    kind: Annotated[str, Field(min_length=1)]
    scope: Annotated[str, Field(min_length=1, max_length=100, pattern=NO_CONTROLS)]
    reading: Literal["auto", "mean", "instant"] = "auto"
    gain_error: Annotated[float, Field(ge=0, lt=1)] | None = None
    command: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(words)] | None = None
    serial: Annotated[str, Field(min_length=1, pattern=NO_CONTROLS)] | None = None
    voltage_v: Annotated[float, Field(gt=0, le=1000)] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> MeterSettings:
        try:
            module = meters().find(self.kind)
        except ConfigError as error:
            refuse(str(error))
        needs, takes = module.NEEDS, module.TAKES
        for name in MeterOptions.__dataclass_fields__:
            is_given = getattr(self, name) is not None
            if name in needs and not is_given:
                refuse(f"a meter of kind {self.kind} needs {name!r}; add it")
            if is_given and name not in (*needs, *takes):
                refuse(f"a meter of kind {self.kind} has no {name!r}; remove it")
        return self

    @property
    def options(self) -> MeterOptions:
        """What the meter itself is told."""
        return MeterOptions(command=self.command, serial=self.serial, voltage_v=self.voltage_v)
