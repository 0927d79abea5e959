"""Settles the dynamic dimensions of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import ValueInfoProto

from bench.errors import ConfigError, UnsupportedCase


def fix_shapes(
    file: str,
    inputs: Sequence[ValueInfoProto],
    batch: int | None,
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Write a fixed shape into every input, in place.

    A dynamic first dimension takes ``batch`` when one was asked for; all other dynamic
    dimensions come from ``shapes``. Raises ConfigError when one is left over or contradicted,
    UnsupportedCase when the model is fixed at another batch.
    """
    names = [value.name for value in inputs]
    for name in shapes:
        if name not in names:
            raise ConfigError(
                f"{file} has no input {name!r} (named in --shape); its inputs: {', '.join(names)}"
            )
    for value in inputs:
        if value.type.HasField("tensor_type"):
            _fix_input(file, value, batch, shapes.get(value.name))


def _fix_input(
    file: str, value: ValueInfoProto, batch: int | None, wanted: tuple[int, ...] | None
) -> None:
    declared = _declared(value)
    fixed = _settle(file, value.name, declared, batch, wanted)
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in fixed:
        shape.dim.add().dim_value = size


def _declared(value: ValueInfoProto) -> list[int | str]:
    """Dimensions as declared, dynamic ones as text."""
    return [
        dim.dim_value if dim.dim_value > 0 else dim.dim_param or "?"
        for dim in value.type.tensor_type.shape.dim
    ]


def _settle(
    file: str,
    name: str,
    declared: Sequence[int | str],
    batch: int | None,
    wanted: tuple[int, ...] | None,
) -> list[int]:
    shown = ",".join(map(str, declared))
    if wanted is not None and len(wanted) != len(declared):
        raise ConfigError(
            f"{file}: --shape gives input {name!r} {len(wanted)} dimensions, "
            f"it has {len(declared)}: ({shown})"
        )
    fixed: list[int] = []
    for axis, size in enumerate(declared):
        asked = wanted[axis] if wanted is not None else None
        if isinstance(size, str):
            first_from_batch = axis == 0 and batch is not None
            if first_from_batch and asked not in (None, 1, batch):
                raise ConfigError(
                    f"{file}: --shape asks for {asked} inputs per run, --batch for {batch}"
                )
            chosen = batch if first_from_batch else asked
            if chosen is None:
                raise ConfigError(
                    f"{file}: input {name!r} has dynamic dimensions ({shown}); fix them with "
                    f"--shape {name}={_example(declared)}"
                )
        elif asked is not None and asked != size:
            raise ConfigError(
                f"{file}: --shape asks for {asked} at dimension {axis + 1} of input {name!r}, "
                f"which is fixed: ({shown})"
            )
        elif axis == 0 and batch is not None and batch != size and len(declared) > 1:
            raise UnsupportedCase(
                f"{file}: input {name!r} is fixed at batch {size} ({shown}); "
                f"batch {batch} needs a model exported for it"
            )
        else:
            chosen = size
        if chosen < 1:
            raise ConfigError(f"{file}: dimension {axis + 1} of input {name!r} cannot be {chosen}")
        fixed.append(chosen)
    return fixed


def _example(declared: Sequence[int | str]) -> str:
    """A plausible shape to show: fixed dimensions as they are, images of 224 × 224."""
    image = ("1", "3", "224", "224")
    return ",".join(
        str(size)
        if isinstance(size, int)
        else image[axis]
        if len(declared) == 4
        else "1"
        if axis == 0
        else "128"
        for axis, size in enumerate(declared)
    )
