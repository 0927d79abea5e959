"""What a user's own model is fed: sample files, draws from a range, or what its type leaves open.

The same arrays are the reference inputs that parity is checked with and what is timed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.errors import ConfigError
from bench.export.reference import SEED, Array, first_line, random_input

Range = tuple[float, float]
"""Low (included) and high (excluded)."""


@dataclass(frozen=True, slots=True)
class InputValues:
    """What is said about the values of inputs, by their names; ``samples``: .npy or .npz files."""

    ranges: Mapping[str, Range] = field(default_factory=dict)
    samples: Mapping[str, Path] = field(default_factory=dict)

    def of(self, names: Collection[str]) -> InputValues:
        """What is said about these inputs."""
        return InputValues(
            {name: value for name, value in self.ranges.items() if name in names},
            {name: path for name, path in self.samples.items() if name in names},
        )

    def key(self) -> dict[str, object]:
        """What an artifact depends on: the ranges and the contents of the files."""
        return {
            "ranges": {name: list(value) for name, value in sorted(self.ranges.items())},
            "samples": {
                name: hashlib.sha256(_bytes(path)).hexdigest()
                for name, path in sorted(self.samples.items())
            },
        }


NOTHING_SAID = InputValues()


def check_values(ranges: Mapping[str, Range], samples: Mapping[str, Path]) -> InputValues:
    """Return what was asked for.

    Raises:
        ConfigError: a range is reversed or empty, a file is missing, or an input has both.
    """
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ConfigError(f"{_asked(name, (low, high))}: both bounds must be finite")
        if not low < high:
            raise ConfigError(
                f"{_asked(name, (low, high))}: there is nothing in it; LOW must be below HIGH, "
                "which is not part of it"
            )
        if name in samples:
            raise ConfigError(f"input {name!r} has both --range and --input; give one of them")
    for name, path in samples.items():
        if path.suffix not in (".npy", ".npz"):
            raise ConfigError(f"--input {name}={path}: must be an .npy or .npz file of numpy")
        if not path.is_file():
            raise ConfigError(f"--input {name}={path}: no such file")
    return InputValues(dict(ranges), dict(samples))


def require_inputs(what: str, given: Mapping[str, Collection[str]], known: Collection[str]) -> None:
    """Refuse names that no input has. ``given``: by the option that names them.

    Raises:
        ConfigError: with the names that there are.
    """
    for option, names in given.items():
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{what} has no input {name!r} (named in {option}); its inputs: "
                    f"{', '.join(known)}"
                )


_UNNAMED = "arr_0"
"""How numpy.savez calls an array that was given no name."""


def load_sample(path: Path, name: str) -> Array:
    """Return what a sample file holds for an input: of an .npz the array of its name, or the only
    one if it was saved without a name.

    Raises:
        ConfigError: it cannot be read, or holds no numbers for this input.
    """
    where = f"--input {name}={path}"
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            sample = loaded
        else:
            with loaded:
                wanted = _UNNAMED if loaded.files == [_UNNAMED] else name
                if wanted not in loaded.files:
                    held = ", ".join(loaded.files) or "nothing"
                    raise ConfigError(f"{where}: holds no array {name!r} (it holds {held})")
                sample = loaded[wanted]
    except ConfigError:
        raise
    except Exception as error:  # zip files, headers and pickles fail in ways of their own
        why = "it is no file of numbers by numpy" if "pickle" in str(error) else first_line(error)
        raise ConfigError(f"{where}: cannot be read: {why}") from None
    if sample.dtype.kind not in "fiub":
        raise ConfigError(f"{where}: holds {sample.dtype}, no numbers")
    if not sample.size:
        raise ConfigError(f"{where}: holds no numbers (its shape is {_sizes(sample.shape)})")
    if sample.dtype.kind == "f" and not np.isfinite(sample).all():
        raise ConfigError(f"{where}: not all of its numbers are finite")
    return sample


def input_value(
    what: str,
    name: str,
    shape: Sequence[int],
    dtype: np.dtype[np.generic],
    position: int,
    values: InputValues,
) -> Array:
    """Return what one input is fed. ``position``: its place among the inputs.

    Without a sample or range: floats from N(0, 1), booleans of either kind, integers of one byte
    anything that they can be. What larger integers mean (ids, lengths, masks) nobody can guess.

    Raises:
        ConfigError: the sample or range does not fit the input, or it holds larger integers and
            nothing says which.
        TypeError: the input holds no numbers.
    """
    if name in values.samples:
        return _fitting(what, name, shape, dtype, values.samples[name])
    if name in values.ranges:
        return _drawn(what, name, shape, dtype, position, values.ranges[name])
    if dtype.kind in "iu":
        if dtype.itemsize > 1:
            raise ConfigError(
                f"{what}: input {name!r} takes whole numbers ({dtype}), and nothing says which: "
                f"--range {name}=0:N for those from 0 to N-1, or --input {name}=FILE.npy"
            )
        limits = np.iinfo(dtype.name)
        return _drawn(what, name, shape, dtype, position, (limits.min, limits.max + 1))
    return random_input(shape, dtype, position)


def told(name: str, value: Array, values: InputValues, examples: Mapping[str, Array]) -> str:
    """Return in words what an input is fed, and what of that is assumed.

    ``examples``: those that came with the model; they count for inputs of their shape.
    """
    sizes = "×".join(map(str, value.shape)) or "one number"
    text = f"input {name!r} ({value.dtype}, {sizes})"
    if name in values.samples:
        return f"{text}: from {values.samples[name].name}"
    if name in values.ranges:
        low, high = values.ranges[name]
        if value.dtype.kind in "iu":
            return f"{text}: random whole numbers from {_number(low)} to {_number(high - 1)}"
        return f"{text}: random numbers from {_number(low)} to {_number(high)}"
    if name in examples and examples[name].shape[1:] == value.shape[1:]:
        return f"{text}: the example that came with the network"
    return f"{text}: {_ASSUMED[value.dtype.kind]} (assumed; --range or --input say otherwise)"


def too_far(values: InputValues) -> str:
    """Return what to look at where a model finds its inputs' numbers too large, in words."""
    said = [
        *(_asked(name, span) for name, span in values.ranges.items()),
        *(f"--input {name}={path}" for name, path in values.samples.items()),
    ]
    return f"{' or '.join(said)} holds more than the model takes; use smaller numbers"


_ASSUMED = {
    "f": "random numbers of mean 0 and deviation 1",
    "i": "random bytes",
    "u": "random bytes",
    "b": "random truth values",
}


def _fitting(
    what: str, name: str, shape: Sequence[int], dtype: np.dtype[np.generic], path: Path
) -> Array:
    sample = load_sample(path, name)
    if sample.dtype != dtype:
        raise ConfigError(
            f"--input {name}={path}: holds {sample.dtype}, input {name!r} of {what} takes {dtype}"
        )
    if sample.shape != tuple(shape):
        raise ConfigError(
            f"--input {name}={path}: has shape {_sizes(sample.shape)}, input {name!r} of {what} "
            f"takes {_sizes(shape)}"
        )
    return np.ascontiguousarray(sample)


def _drawn(
    what: str,
    name: str,
    shape: Sequence[int],
    dtype: np.dtype[np.generic],
    position: int,
    span: Range,
) -> Array:
    low, high = span
    shown = _asked(name, span)
    draw = np.random.default_rng([SEED, position])
    if dtype.kind == "f":
        largest = float(np.finfo(dtype.name).max)
        if max(abs(low), abs(high)) > largest:
            raise ConfigError(f"{shown}: {dtype}, which {what} takes, ends at {largest:g}")
        return draw.uniform(low, high, tuple(shape)).astype(dtype)
    if dtype.kind not in "iu":
        raise ConfigError(f"{shown}: input {name!r} of {what} is of type {dtype}, without ranges")
    if low != int(low) or high != int(high):
        raise ConfigError(f"{shown}: input {name!r} of {what} takes whole numbers ({dtype})")
    limits = np.iinfo(dtype.name)
    if low < limits.min or high > limits.max + 1:
        raise ConfigError(f"{shown}: {dtype}, which {what} takes, holds {limits.min}…{limits.max}")
    numbers: Array = draw.integers(int(low), int(high), tuple(shape), dtype=dtype.name)
    return numbers


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _asked(name: str, span: Range) -> str:
    low, high = span
    return f"--range {name}={_number(low)}:{_number(high)}"


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:g}"


def _sizes(shape: Sequence[int]) -> str:
    return "(" + ",".join(map(str, shape)) + ")"
