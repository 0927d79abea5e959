"""Settles the dynamic dimensions of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import ValueInfoProto

from bench.errors import ConfigError, UnsupportedCase
from bench.export.inputs import require_inputs

UNNAMED = "?"


def fix_shapes(
    file: str,
    inputs: Sequence[ValueInfoProto],
    batch: int | None,
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Write a fixed shape into every input, in place.

    A dynamic first dimension takes ``batch`` when one was asked for; all other dynamic
    dimensions come from ``shapes``, or from another input that has one of the same name. Raises
    ConfigError when one is left over or contradicted, UnsupportedCase when the model is fixed at
    another batch.
    """
    tensors = [value for value in inputs if value.type.HasField("tensor_type")]
    require_inputs(file, {"--shape": shapes}, [value.name for value in inputs])
    declared = {value.name: declared_sizes(value) for value in tensors}
    settled = {
        name: _settle(file, name, dims, batch, shapes.get(name)) for name, dims in declared.items()
    }
    sizes = _named_sizes(file, declared, settled)
    for value in tensors:
        dims = declared[value.name]
        fixed = [
            sizes.get(dims[axis]) if size is None else size
            for axis, size in enumerate(settled[value.name])
        ]
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for size in fixed:
            if size is None:
                raise ConfigError(
                    f"{file}: input {value.name!r} has dynamic dimensions "
                    f"({','.join(map(str, dims))}); fix them with "
                    f"--shape {value.name}={_example(dims)}"
                )
            shape.dim.add().dim_value = size


def declared_sizes(value: ValueInfoProto) -> list[int | str]:
    """Return the dimensions of an input as declared, dynamic ones as text."""
    return [
        dim.dim_value if dim.dim_value > 0 else dim.dim_param or UNNAMED
        for dim in value.type.tensor_type.shape.dim
    ]


def _named_sizes(
    file: str,
    declared: Mapping[str, Sequence[int | str]],
    settled: Mapping[str, Sequence[int | None]],
) -> dict[int | str, int]:
    """Sizes of named dimensions, which are the same in all inputs."""
    sizes: dict[int | str, int] = {}
    where: dict[int | str, str] = {}
    for name, dims in declared.items():
        for dim, size in zip(dims, settled[name], strict=True):
            if isinstance(dim, int) or dim == UNNAMED or size is None:
                continue
            if sizes.setdefault(dim, size) != size:
                raise ConfigError(
                    f"{file}: dimension {dim!r} would be {sizes[dim]} in input {where[dim]!r} and "
                    f"{size} in input {name!r}; it is one size"
                )
            where.setdefault(dim, name)
    return sizes


def _settle(
    file: str,
    name: str,
    declared: Sequence[int | str],
    batch: int | None,
    wanted: tuple[int, ...] | None,
) -> list[int | None]:
    """The sizes that are declared or asked for; ``None`` where nothing says any."""
    shown = ",".join(map(str, declared))
    if wanted is not None and len(wanted) != len(declared):
        raise ConfigError(
            f"{file}: --shape gives input {name!r} {len(wanted)} dimensions, "
            f"it has {len(declared)}: ({shown})"
        )
    fixed: list[int | None] = []
    for axis, size in enumerate(declared):
        asked = wanted[axis] if wanted is not None else None
        chosen: int | None
        if isinstance(size, str):
            first_from_batch = axis == 0 and batch is not None
            if first_from_batch and asked not in (None, 1, batch):
                raise ConfigError(
                    f"{file}: --shape asks for {asked} inputs per run, --batch for {batch}"
                )
            chosen = batch if first_from_batch else asked
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
        if chosen is not None and chosen < 1:
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
