"""docs/ci.md: what somebody copies from it is valid, harmless, and calls commands that exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from bench.cli import cli
from bench.config.devices_file import load_devices

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


STAND_INS = {
    "bench": """#!/bin/sh
echo "$@" >> calls
case "$1" in
run) echo '{"run_id": "r1"}' ;;
compare) case "$*" in *compare.xml*) echo '<testsuites/>' > compare.xml ;; esac ;;
esac
eval "exit \\${EXIT_$1:-0}"
""",
    "jq": f"""#!{sys.executable}
import json, sys
print(json.load(open(sys.argv[-1]))[sys.argv[-2].lstrip(".")])
""",
    "python3": """#!/bin/sh
mkdir -p venv/bin
printf '#!/bin/sh\\n' > venv/bin/pip
chmod +x venv/bin/pip
""",
    "git": "#!/bin/sh\n",
}


def carry_out(folder: Path, exits: dict[str, int]) -> bool:
    """Run the job's own steps as its runner does, with stand-ins for the programs; whether the job
    passes. ``exits``: exit codes of the commands of bench."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name, text in STAND_INS.items():
        (bin_folder / name).write_text(text, encoding="utf-8")
        (bin_folder / name).chmod(0o755)
    environment = {
        **{f"EXIT_{name}": str(code) for name, code in exits.items()},
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "BASE": "0" * 40,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    passes = True
    for step in parsed()[0]["jobs"]["compare"]["steps"]:
        condition = step.get("if", "success()")
        assert condition in ("success()", "!cancelled()", "always()")
        if "run" in step and (passes or condition != "success()"):
            script = ["bash", "-e", "-c", step["run"]]
            done = subprocess.run(script, cwd=folder, env=environment, check=False)
            passes = passes and done.returncode == 0
    return passes


@pytest.mark.parametrize(
    ("exits", "passes"),
    [
        ({}, True),
        ({"run": 1, "compare": 3}, False),
        # Both fail in the same way: nothing is worse, but nothing was measured either.
        ({"run": 1, "plot": 2}, False),
        ({"plot": 2}, True),
        ({"compare": 1}, False),
        ({"compare": 3}, False),
    ],
)
def test_a_failed_case_or_an_empty_chart_leaves_the_report_written(
    tmp_path: Path, exits: dict[str, int], passes: bool
) -> None:
    assert carry_out(tmp_path, exits) is passes
    assert (tmp_path / "compare.xml").exists()


def test_a_doctor_that_finds_the_board_unusable_fails_the_job_before_it_measures(
    tmp_path: Path,
) -> None:
    assert not carry_out(tmp_path, {"doctor": 4})
    assert [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()] == ["doctor"]
