"""Colours: one per scheme, the same wherever it is drawn, told apart by colour-blind people."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bench.records.case import Case
from bench.report import palette
from bench.report.rows import rows_by_device, rows_of_runs

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """CIE L*a*b* of a colour as somebody sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ seen / [0.9505, 1.0, 1.089] + 1e-9)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", BLINDNESS)
def test_no_two_colours_look_alike(kind):
    for one, two in itertools.combinations(palette.COLOURS, 2):
        distance = np.linalg.norm(lab(one, BLINDNESS[kind]) - lab(two, BLINDNESS[kind]))
        assert distance > 9, (one, two)


def test_a_scheme_keeps_its_colour_whatever_else_is_drawn():
    firsts = ["dense", "basis:0.25", "blocks:0.25", "soft:0.3", "reuse:2", "prune-l1:0.25"]
    among = palette.colours([*firsts, "basis:0.5", "basis:0.75", "something-else"])
    for scheme in firsts:
        assert among[scheme] == palette.colours([scheme])[scheme]
    assert palette.colours(sorted(among, reverse=True)) == among


def test_two_that_want_one_colour_get_two():
    names = [f"basis:0.{n}" for n in range(1, 9)]
    found = palette.colours(names)
    assert sorted(found.values()) == sorted(palette.COLOURS)
    assert palette.colours([*names, "dense"]).keys() == {*names, "dense"}


def test_dense_is_black_beside_any_other_model(synthetic):
    alone = synthetic.write(synthetic.cases("orin")[:1], run_id="alone")
    beside = synthetic.write(
        [Case(device="orin", model="resnet34"), *synthetic.cases("orin")], run_id="beside"
    )
    (black,) = {row.colour for row in rows_by_device(alone)["orin"]}
    dense = [row for row in rows_by_device(beside)["orin"] if row.case.scheme == "dense"]
    assert [row.colour for row in dense] == [black, black]


def test_a_scheme_has_one_colour_in_all_rows_of_all_runs(synthetic):
    one = synthetic.write(synthetic.cases("orin"), run_id="one")
    two = synthetic.write(
        [Case(device="nano", model="shufflenet_v2_x1_0"), *synthetic.cases("nano")[1:]],
        run_id="two",
    )
    found = {}
    for row in (*rows_by_device(one)["orin"], *rows_by_device(two)["nano"]):
        found.setdefault(row.case.scheme, set()).add(row.colour)
    for row in rows_of_runs([one, two]):
        found[row.case.scheme].add(row.colour)
    assert {len(colours) for colours in found.values()} == {1}
