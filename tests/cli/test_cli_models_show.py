"""``bench models show`` under the schemes."""

from __future__ import annotations

import json

import pytest

from bench.cli import main

NAME = "shufflenet_v2_x1_0_cifar100"


def shown(capsys: pytest.CaptureFixture[str], scheme: str, *more: str) -> str:
    assert main(["models", "show", NAME, "--scheme", scheme, *more]) == 0
    return capsys.readouterr().out


def test_a_row_per_stage_with_bytes_and_ceiling(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "basis:26/53/106")
    assert "1,017,668 of 1,356,104 parameters (25.0 % saved)" in text
    assert "at most 52.1 % can be saved" in text
    (row,) = [line for line in text.splitlines() if "stage4" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:8] == [
        "stage4",
        "9 × 232→232",
        "106 + 4",
        "264,604",
        "484,416",
        "34.3 %",
        "98,368",
        "960,048",
    ]
    assert "others" in text


def test_one_bank_for_all_stages_is_named_and_counted_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = shown(capsys, "blocks-one:0.25")
    assert "110 of all" in text
    groups = json.loads(shown(capsys, "blocks-one:0.25", "--json"))["groups"]
    assert [group["group"] for group in groups] == ["all", "stage2", "stage3", "stage4"]
    assert [group["bank"] for group in groups] == ["all"] * 4
    assert [group["template_bytes"] for group in groups] == [110 * 58 * 58 * 4, 0, 0, 0]
    assert all(group["macs_factored"] is None for group in groups)


@pytest.mark.parametrize(
    ("scheme", "part"), [("prune-l1:0.1", "stage4.3.branch2.0"), ("recursive:0.1", "stage3.7")]
)
def test_what_changes_the_network_has_a_row_per_part_and_a_ceiling(
    scheme: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, scheme)
    assert "% can be saved" in text
    (row,) = [line for line in text.splitlines() if part in line]
    assert " of " in row


def test_reuse_has_no_weight_mode(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "reuse-2")
    assert "28.8 % saved" in text
    assert "runtime:" not in text


@pytest.mark.parametrize(
    ("name", "scheme", "said"),
    [
        (NAME, "soft:0.6", "at most 49."),
        (NAME, "soft:1/1", "needs 3: stage2/stage3/stage4"),
        (NAME, "sooft:0.2", "did you mean 'soft'"),
        ("resnet34", "soft:0.2", "no layers that can share"),
        ("resnet34", "reuse-1", "no layers that can share"),
        ("mine.onnx", "dense", "measured as it is: bench run --model mine.onnx"),
        ("nets:small", "dense", "measured as it is: bench run --model nets:small"),
    ],
)
def test_what_cannot_be_is_exit_2_and_one_line(
    name: str, scheme: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "show", name, "--scheme", scheme]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
