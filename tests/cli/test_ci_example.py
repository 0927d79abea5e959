"""docs/ci.md: what somebody copies from it is valid, harmless, and calls commands that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from bench.cli import cli
from bench.config import load_devices

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def parsed() -> list[dict[str, Any]]:
    return [YAML(typ="safe").load(block) for block in BLOCKS]


def steps() -> list[dict[str, Any]]:
    workflow, _, more = parsed()
    return [*workflow["jobs"]["compare"]["steps"], *more["steps"]]


def commands() -> list[list[str]]:
    """Every call of bench in a ``run:``, as words."""
    found = []
    for step in steps():
        lines = step.get("run", "").replace("\\\n", " ").splitlines()
        for line in lines:
            words = shlex.split(line)
            if words[:1] == ["bench"]:
                ends = [at for at, word in enumerate(words) if word in (">", ">>", "||", "&&")]
                found.append(words[1 : min([*ends, len(words)])])
    return found


def test_the_workflow_asks_for_little_and_is_pinned() -> None:
    workflow, _, _ = parsed()
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) == 4
    for action in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)
    for step in steps():
        assert "${{" not in step.get("run", ""), "an event's text would become a command"
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_its_commands_exist_with_their_options() -> None:
    called = commands()
    assert {words[0] for words in called} == {"doctor", "run", "plot", "compare"}
    for words in called:
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None
        # Parses and converts every option without calling anything.
        command.make_context(words[0], words[1:])


def test_a_wrong_option_would_be_seen() -> None:
    found = cli.get_command(click.Context(cli), "compare")
    assert found is not None
    with pytest.raises(click.NoSuchOption):
        found.make_context("compare", ["a", "b", "--no-such-option"])


def test_its_devices_file_is_one(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(BLOCKS[1], encoding="utf-8")
    assert "jetson-nano" in load_devices(path)
