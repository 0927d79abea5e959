"""Data sets are read from the files that their authors distribute, or refused in one line."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from pathlib import Path

import labelled_images as make
import numpy as np
import pytest

from models.training.datasets import open_dataset
from models.training.errors import DataError

ALL = np.arange(20)


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_mnist_packed_or_not(tmp_path: Path, packed: bool) -> None:
    data = open_dataset(f"fashion-mnist:{make.fashion_mnist(tmp_path, packed=packed)}")
    assert (data.classes, data.shape) == (10, (1, 28, 28))
    assert len(data.train.labels) == 48
    assert data.test.labels.tolist() == [*range(10), *range(10)]
    expected = make.pixels(ALL % 10, (28, 28))
    assert np.array_equal(data.test.plain(ALL)[:, 0], expected)


def test_packing_does_not_change_the_digest_and_one_pixel_does(tmp_path: Path) -> None:
    plain = make.fashion_mnist(tmp_path / "plain")
    packed = make.fashion_mnist(tmp_path / "packed", packed=True)
    digests = [open_dataset(f"fashion-mnist:{folder}").digest for folder in (plain, packed)]
    assert digests[0] == digests[1]
    file = plain / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    assert open_dataset(f"fashion-mnist:{plain}").digest != digests[0]


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100_in_both_versions(tmp_path: Path, binary: bool) -> None:
    folder = make.cifar100(tmp_path, binary=binary)
    data = open_dataset(f"cifar-100:{folder}")
    assert (data.classes, data.shape) == (100, (3, 32, 32))
    assert data.train.labels.tolist() == list(range(100))
    expected = make.pixels(np.arange(100), (3072,)).reshape(-1, 3, 32, 32)
    assert np.array_equal(data.test.plain(ALL), expected[:20])


def test_cifar100_as_python_2_and_old_numpy_wrote_it(tmp_path: Path) -> None:
    # Strings of Python 2 are bytes to Python 3; arrays were made by numpy.core.multiarray.
    array = make.pixels(np.arange(3), (3072,))
    raw = array.tobytes()
    head = (
        b"\x80\x02}q\x00(U\x0bfine_labelsq\x01]q\x02(K\x00K\x01K\x02eU\x04dataq\x03"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87R"
        b"(K\x01K\x03M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
    )
    document = head + len(raw).to_bytes(4, "little") + raw + b"tbu."
    for part in ("train", "test"):
        (tmp_path / part).write_bytes(document)
    data = open_dataset(f"cifar-100:{tmp_path}")
    assert np.array_equal(data.train.plain(np.arange(3)).reshape(3, -1), array)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    for part in ("train", "test"):
        (tmp_path / part).write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(DataError, match=r"train: refused: it would call posix\.system"):
        open_dataset(f"cifar-100:{tmp_path}")
    assert not (tmp_path / "ran").exists()


def test_imagenet_is_read_and_cut_from_class_folders(tmp_path: Path) -> None:
    data = open_dataset(f"imagenet:{make.imagenet(tmp_path)}")
    assert (data.classes, data.shape) == (2, (3, 224, 224))
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    images = data.train.plain(np.arange(4))
    assert images.shape == (4, 3, 224, 224)
    assert images[2].mean() - images[0].mean() == pytest.approx(20, abs=3)
    changed = data.train.augmented(np.arange(4), (0, 0))
    assert changed.shape == images.shape
    assert not np.array_equal(changed[0], data.train.augmented(np.arange(1), (0, 1))[0])


def test_digits_become_images_of_28_by_28(tmp_path: Path) -> None:
    data = open_dataset(f"digits:{make.digits(tmp_path)}")
    assert (len(data.train.labels), len(data.test.labels)) == (1437, 360)
    image = data.train.plain(np.array([7]))[0, 0]
    expected = make.pixels(np.arange(1797) % 10, (64,))[7].reshape(8, 8) // 15
    assert image.shape == (28, 28)
    assert not image[:2].any()
    assert np.array_equal(image[2:26:3, 2:26:3], (expected * 255.0 / 16).round())


def test_how_an_image_is_changed_depends_on_seed_epoch_and_its_number_only(tmp_path: Path) -> None:
    train = open_dataset(f"fashion-mnist:{make.fashion_mnist(tmp_path)}").train
    together = train.augmented(np.array([3, 11, 30]), (5, 2))
    assert np.array_equal(together[1:2], train.augmented(np.array([11]), (5, 2)))
    others = [train.augmented(np.array([3, 11, 30]), draw) for draw in ((6, 2), (5, 3))]
    assert not any(np.array_equal(together, other) for other in others)


def test_a_changed_image_is_the_image_shifted_or_mirrored(tmp_path: Path) -> None:
    train = open_dataset(f"fashion-mnist:{make.fashion_mnist(tmp_path)}").train
    padded = np.pad(train.plain(np.array([0]))[0, 0], 2)
    shifted = [padded[y : y + 28, x : x + 28] for y in range(5) for x in range(5)]
    possible = {window.tobytes() for window in shifted}
    possible |= {window[:, ::-1].tobytes() for window in shifted}
    seen = {train.augmented(np.array([0]), (0, epoch)).tobytes() for epoch in range(60)}
    assert seen <= possible
    assert len(seen) > 20


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _break(name: str, folder: Path) -> str:
    """Prepare a wrong data set of that description; return its spelling."""
    kind, _, how = name.partition(" ")
    if how == "missing":
        return f"{kind}:{folder / 'nowhere'}"
    if how == "empty":
        return f"{kind}:{folder}"
    if kind == "fashion-mnist":
        make.fashion_mnist(folder, packed="packed" in how)
        if "packed" in how:
            _cut(folder / "train-images-idx3-ubyte.gz")
        elif how == "cut":
            _cut(folder / "t10k-images-idx3-ubyte")
        elif how == "labels for images":
            (folder / "train-labels-idx1-ubyte").replace(folder / "train-images-idx3-ubyte")
            make.fashion_mnist(folder / "other")
            labels = "train-labels-idx1-ubyte"
            (folder / "other" / labels).replace(folder / labels)
        elif how == "other labels":
            file = folder / "train-labels-idx1-ubyte"
            file.write_bytes(file.read_bytes()[:-1] + b"\x0a")
        elif how == "too few labels":
            make.fashion_mnist(folder / "other", train=47)
            labels = "train-labels-idx1-ubyte"
            (folder / "other" / labels).replace(folder / labels)
    if kind == "cifar-100":
        make.cifar100(folder, binary="binary" in how)
        _cut(next((folder).rglob("train.bin" if "binary" in how else "train")))
    if kind == "imagenet":
        make.imagenet(folder)
        if how == "flat":
            for file in list((folder / "val").rglob("*.png")):
                file.replace(folder / "val" / f"{file.parent.name}-{file.name}")
                file.parent.rmdir()
        elif how == "one class less":
            next((folder / "val" / "n00000001").iterdir()).unlink()
            (folder / "val" / "n00000001").rmdir()
        elif how == "empty class":
            next((folder / "val" / "n00000001").iterdir()).unlink()
    if kind == "digits":
        make.digits(folder, rows=100)
    return f"{kind}:{folder}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fashion-mnist missing", "no such folder"),
        ("fashion-mnist empty", "no file train-images-idx3-ubyte or train-images-idx3-ubyte.gz"),
        ("fashion-mnist cut", "is cut short or damaged: 15675 bytes of data, not 15680"),
        ("fashion-mnist cut packed", "train-images-idx3-ubyte.gz: is cut short or damaged"),
        ("fashion-mnist labels for images", "is not an IDX file of bytes in 3 dimension"),
        ("fashion-mnist other labels", "labels other than 0 to 9"),
        ("fashion-mnist too few labels", "48 images, but 47 labels"),
        ("cifar-100 empty", "neither train and test"),
        ("cifar-100 cut", "is cut short, or no pickle of CIFAR-100"),
        ("cifar-100 cut binary", "is cut short"),
        ("imagenet empty", "no folder train"),
        ("imagenet flat", "has no class folders"),
        ("imagenet one class less", "class n00000001 is in only one of train and val"),
        ("imagenet empty class", "no images in"),
        ("digits cut", "is cut short"),
    ],
)
def test_wrong_data_are_refused_in_one_line(tmp_path: Path, name: str, said: str) -> None:
    spelled = _break(name, tmp_path)
    with pytest.raises(DataError) as caught:
        open_dataset(spelled)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = make.imagenet(tmp_path)
    data = open_dataset(f"imagenet:{folder}")
    broken = folder / "val" / "n00000001" / "0.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(DataError, match=r"0\.png: is no image that can be read"):
        data.test.plain(np.array([1]))


@pytest.mark.parametrize(
    ("spelled", "said"),
    [
        ("cifar100:/data", "did you mean 'cifar-100'"),
        ("svhn", "unknown data set 'svhn'; known: cifar-100:FOLDER"),
        ("fashion-mnist", "needs the folder of its files"),
    ],
)
def test_misspelt_data_sets(spelled: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_dataset(spelled)


def test_reading_data_needs_no_torch() -> None:
    code = "import sys, models.training.datasets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_gzip_of_something_else_is_refused(tmp_path: Path) -> None:
    make.fashion_mnist(tmp_path, packed=True)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"hello"))
    with pytest.raises(DataError, match="is not an IDX file"):
        open_dataset(f"fashion-mnist:{tmp_path}")
