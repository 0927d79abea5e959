"""Which wheels a board takes, and that the package index has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from bench.errors import ConfigError, DeviceError
from bench.onboarding.wheels import Target, download, platforms, requirements, target_of

NANO = Target((3, 6), "cp36m", "aarch64", 27)


def python(**changes: Any) -> dict[str, Any]:
    stock = {
        "version": "3.6.9",
        "implementation": "cpython",
        "abi_flags": "m",
        "platform": "linux-aarch64",
        "bits": 64,
        "glibc": "2.27",
    }
    return {**stock, **changes}


def test_a_stock_nano() -> None:
    assert target_of(python()) == NANO
    tags = platforms(NANO)
    assert tags[0] == "manylinux_2_27_aarch64"
    assert tags[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]
    assert requirements(NANO) == ["numpy==1.19.5", "onnxruntime==1.10.0"]


def test_numpy_fits_what_a_jetpack_is_built_against() -> None:
    wanted = {
        (minor, requirements(Target((3, minor), f"cp3{minor}", "aarch64", 31))[0])
        for minor in (8, 10, 12, 13)
    }
    assert wanted == {(8, "numpy<1.24"), (10, "numpy<2"), (12, "numpy<2"), (13, "numpy")}


def test_an_old_pc_also_takes_the_oldest_wheels() -> None:
    target = Target((3, 8), "cp38", "x86_64", 12)
    assert platforms(target)[:2] == ["manylinux_2_12_x86_64", "manylinux2010_x86_64"]
    assert platforms(target)[-1] == "manylinux1_x86_64"


def test_a_32_bit_system_on_a_64_bit_kernel_takes_no_64_bit_wheels() -> None:
    assert target_of(python(bits=32)).machine == "armv7l"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"glibc": None}, "musl"), ({"implementation": "pypy"}, "pypy")],
)
def test_a_python_that_no_wheel_fits(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        target_of(python(**changes))


def test_only_what_is_provided_can_be_wanted() -> None:
    assert requirements(NANO, ["onnxruntime==1.9.0"]) == ["numpy==1.19.5", "onnxruntime==1.9.0"]
    for text in ("torch==2.0", "numpy", "numpy=="):
        with pytest.raises(ConfigError, match="NAME==VERSION"):
            requirements(NANO, [text])


@pytest.mark.parametrize(
    "target",
    [NANO, Target((3, 10), "cp310", "aarch64", 35)],
    ids=["JetPack 4", "JetPack 6"],
)
def test_the_index_has_wheels_for_jetpack(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = download(target, [], tmp_path)
    named = {parse_wheel_filename(wheel.name)[0]: wheel for wheel in wheels}
    assert set(named) == {"numpy", "onnxruntime"}
    interpreter = target.abi.rstrip("m")
    fitting = {Tag(interpreter, target.abi, tag) for tag in platforms(target)}
    for wheel in wheels:
        assert parse_wheel_filename(wheel.name)[3] & fitting
    # The second time nobody is asked.
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert download(target, [], tmp_path) == wheels


def test_a_board_for_which_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"no wheels for Python 3.6 .* armv7l"):
        download(Target((3, 6), "cp36m", "armv7l", 27), [], tmp_path)
    assert not list((tmp_path / "wheels").iterdir())
