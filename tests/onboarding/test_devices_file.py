"""What becomes of devices.yaml when a device is added or taken out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.config.devices_file import load_devices
from bench.errors import ConfigError
from bench.onboarding.entry import add_entry, remove_entry

PROJECT = Path(__file__).parents[2]
NANO = {"transport": "ssh", "host": "192.168.55.1", "user": "nvidia"}
TEXT = """\
# My boards.
devices:

  first:            # the old one
    transport: ssh
    host: 'a.lan'   # in the lab
    power: {sensor: none}
    # of first

  # about second
  second:
    transport: local

  # at the end
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "devices.yaml"
    made.write_text(TEXT)
    return made


def test_what_was_there_stays_to_the_letter(path: Path) -> None:
    path.chmod(0o640)
    add_entry(path, "nano", NANO, "a Nano")
    text = path.read_text()
    assert text.startswith(TEXT)
    assert text.removeprefix(TEXT).split() == (
        ["nano:", "#", "a", "Nano", "transport:", "ssh", "host:", "192.168.55.1", "user:", "nvidia"]
    )
    assert list(load_devices(path)) == ["first", "second", "nano"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_taking_out_what_was_added_gives_the_file_as_it_was(path: Path) -> None:
    for content in (TEXT, (PROJECT / "devices.yaml").read_text()):
        path.write_text(content)
        add_entry(path, "nano", NANO, "a Nano")
        remove_entry(path, "nano")
        assert path.read_text() == content


def test_comments_outlive_the_device_they_stand_by(path: Path) -> None:
    remove_entry(path, "first")
    assert path.read_text() == (
        "# My boards.\ndevices:\n\n    # of first\n\n  # about second\n  second:\n"
        "    transport: local\n\n  # at the end\n"
    )


def test_a_file_is_made_with_this_machine_in_it(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    add_entry(path, "nano", NANO, "a Nano")
    devices = load_devices(path)
    assert list(devices) == ["local", "nano"]
    assert devices["local"].power.estimate is not None


def test_a_file_in_flow_style_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text('{"devices": {"local": {"transport": "local"}}}')
    add_entry(path, "nano", NANO, "a Nano")
    assert list(load_devices(path)) == ["local", "nano"]
    remove_entry(path, "local")
    assert list(load_devices(path)) == ["nano"]


def test_lines_end_as_they_did(path: Path) -> None:
    """As an editor on Windows leaves them."""
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    before = path.read_bytes()
    add_entry(path, "nano", NANO, "a Nano")
    text = path.read_bytes()
    assert text.startswith(before) and text.count(b"\n") == text.count(b"\r\n")
    remove_entry(path, "nano")
    assert path.read_bytes() == before


def test_boards_that_are_added_at_once_all_get_in(path: Path) -> None:
    names = [f"nano-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: add_entry(path, name, NANO, "a Nano"), names))
    assert set(load_devices(path)) == {"first", "second", *names}


def test_a_link_is_followed_and_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    add_entry(link, "nano", NANO, "a Nano")
    assert link.is_symlink() and "nano" in load_devices(path)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (TEXT, "third", "there is no device 'third'"),
        ("devices:\n  one: {transport: local}\n", "one", "its only device"),
        ("devices:\n  a: &x\n    transport: local\n  b: *x\n", "a", "left as it was"),
    ],
)
def test_what_cannot_be_taken_out(path: Path, text: str, name: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        remove_entry(path, name)
    assert path.read_text() == text
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_name_that_is_there_is_not_written_over(path: Path) -> None:
    with pytest.raises(ConfigError, match="'second' already"):
        add_entry(path, "second", NANO, "")
    assert path.read_text() == TEXT
