"""Inputs for int8: from images and from arrays, and what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.errors import ConfigError
from bench.export.cache import ArtifactCache
from bench.export.calibration import MOST_IMAGES, calibration_inputs
from bench.plan import calibrations
from bench.plan.plan import expand, make_plan

SMALL = "shufflenet_v2_x0_5_cifar100"
SHAPE = (3, 32, 32)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "cache")


def images(folder: Path, count: int, colour: tuple[int, int, int] = (255, 0, 0)) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (60, 40), colour).save(folder / f"{number:03d}.png")
    return folder


def test_images_become_normalised_inputs(tmp_path: Path, store: ArtifactCache) -> None:
    path = calibration_inputs(images(tmp_path / "images", 2), SHAPE, store)
    found = np.load(path)
    assert (found.shape, found.dtype) == ((2, *SHAPE), np.float32)
    red, green, blue = ((value - mean) / std for value, mean, std in PIXELS)
    assert np.allclose(found[0, :, 5, 5], [red, green, blue], atol=1e-5)
    assert path.name.startswith("calibration-")


PIXELS = ((1.0, 0.485, 0.229), (0.0, 0.456, 0.224), (0.0, 0.406, 0.225))


def test_of_many_images_an_even_choice_is_taken(tmp_path: Path, store: ArtifactCache) -> None:
    folder = images(tmp_path / "images", MOST_IMAGES + 1)
    assert len(np.load(calibration_inputs(folder, SHAPE, store))) == MOST_IMAGES


def test_an_array_is_taken_as_it_is(tmp_path: Path, store: ArtifactCache) -> None:
    inputs = np.random.default_rng(1).standard_normal((3, *SHAPE))
    np.save(tmp_path / "inputs.npy", inputs)
    found = np.load(calibration_inputs(tmp_path / "inputs.npy", SHAPE, store))
    assert np.array_equal(found, inputs.astype(np.float32))


def array(value: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "a.npy", value, allow_pickle=True)
        return folder / "a.npy"

    return write


def file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def folder_with(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "images").mkdir()
        (folder / "images" / name).write_bytes(content)
        return folder / "images"

    return write


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (array(np.zeros((2, 3, 16, 16), np.float32)), "must be N×3×32×32"),
        (array(np.zeros((0, *SHAPE), np.float32)), "array of 0×3×32×32"),
        (array(np.float32(1)), "no dimension"),
        (array(np.zeros((2, *SHAPE), np.int64)), "no floating-point numbers"),
        (array(np.full((1, *SHAPE), np.nan, np.float32)), "not finite"),
        (array(np.array([{}], dtype=object)), "not an .npy file"),
        (file("a.npy", b""), "not an .npy file"),
        (file("a.txt", b"1 2 3"), "give a folder of images or an .npy file"),
        (folder_with("a.txt", b"1 2 3"), "no images in it"),
        (folder_with("a.png", b"\x89PNG cut short"), "is no image that can be read"),
    ],
)
def test_inputs_that_cannot_be_are_refused_in_one_line(
    make: Callable[[Path], Path], said: str, tmp_path: Path, store: ArtifactCache
) -> None:
    with pytest.raises(ConfigError) as caught:
        calibration_inputs(make(tmp_path), SHAPE, store)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_are_for_networks_with_three_channels(tmp_path: Path, store: ArtifactCache) -> None:
    folder = images(tmp_path / "images", 1)
    with pytest.raises(ConfigError, match=r"give an \.npy of N×1×28×28"):
        calibration_inputs(folder, (1, 28, 28), store)


def test_a_plan_prepares_inputs_for_the_models_that_calibrate(tmp_path: Path) -> None:
    folder = images(tmp_path / "images", 2)
    plan = make_plan(
        models=(SMALL, "shufflenet_v2_x0_5_fashion_mnist"),
        schemes=("dense",),
        runtimes=("onnxruntime", "tensorrt"),
        precisions=("int8",),
        calibration=folder,
        exclude=({"model": "shufflenet_v2_x0_5_fashion_mnist"},),
        skips=True,
    )
    cases = expand(plan, "board", threads=1)
    calibrations.require_use(plan, cases)
    prepared = calibrations.prepare(plan, cases, tmp_path / "cache")
    assert np.load(prepared[SMALL]).shape == (2, *SHAPE)
    assert list(prepared) == [SMALL]
    stored = calibrations.facts(plan, prepared)
    calibrations.require_same(stored, prepared)
    Image.new("RGB", (60, 40), (0, 0, 9)).save(folder / "000.png")
    again = calibrations.prepare(plan, cases, tmp_path / "cache")
    with pytest.raises(ConfigError, match="has changed since the run began"):
        calibrations.require_same(stored, again)


def test_inputs_that_nothing_is_calibrated_on_are_refused(tmp_path: Path) -> None:
    plan = make_plan(models=(SMALL,), calibration=images(tmp_path / "images", 1))
    with pytest.raises(ConfigError, match="--calibration is for --precision int8"):
        calibrations.require_use(plan, expand(plan, "board", threads=1))
