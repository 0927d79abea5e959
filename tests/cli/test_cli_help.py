"""The command line answers at once, and a wrong word gets a useful line."""

import json
import subprocess
import sys

import pytest

from bench.cli import COMMANDS, main
from models import MODELS

HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "pandas", "matplotlib", "pydantic", "paramiko")
SLOW = ("torch", "onnxruntime", "matplotlib", "scipy.stats", "scipy.optimize", "scipy.signal")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "from bench.cli import main\n"
        "status = main(['--help'])\n"
        f"print(json.dumps([status, [m for m in {HEAVY!r} if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
    for name in COMMANDS:
        assert name in done.stdout


def test_a_run_that_is_refused_imports_nothing_that_takes_seconds() -> None:
    code = (
        "import sys, json\n"
        "from bench.cli import main\n"
        "status = main(['run', '--device', 'nobody'])\n"
        f"print(json.dumps([status, [m for m in {SLOW!r} if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [2, []]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage: bench " + name in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bench, version ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rum"], "did you mean 'run'"),
        (["run", "--device", "lokal"], "did you mean 'local'"),
        (["run", "--model", "shuffle"], "unknown model 'shuffle'"),
        (["run", "--model", "missing.onnx"], "no such ONNX file"),
        (["run", "--batch", "one"], "whole numbers"),
        (["run", "--shape", "x=a"], "name=1,3,224,224"),
        (["run", "--precision", "int8"], "precision 'int8' is not available"),
        (["run", "--devices", "missing.yaml"], "no such devices file"),
        (["models", "show", "resnet"], "unknown model 'resnet'"),
        (["models", "show", "shufflenet_v2_x1_0", "--scheme", "basis:0.35"], "at most 31.0 %"),
        (["devices", "probe", "nobody"], "unknown device 'nobody'"),
    ],
)
def test_bad_input_is_exit_2_and_one_line(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_models_show_gives_the_counts_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["models", "show", "shufflenet_v2_x1_0_cifar100", "--scheme", "basis:26/53/106"]
    assert main([*args, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["parameters"] == 1_017_668
    assert shown["parameters_dense"] == 1_356_104
    assert shown["reduction"] == pytest.approx(1 - 1_017_668 / 1_356_104)
    assert shown["macs"] > 0


def test_lists_are_json_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {item["name"] for item in listed} == set(MODELS)
    assert main(["devices", "list", "--json"]) == 0
    assert "local" in json.loads(capsys.readouterr().out)
