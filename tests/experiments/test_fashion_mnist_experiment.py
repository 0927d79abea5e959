"""scripts/experiments/fashion_mnist.py: what is compared, trained, and said about it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from board_run import Measuring, plan_text
from compared_networks import (
    BASIS_FROM_DENSE,
    DENSE,
    DENSE_AGAIN,
    ONLY_SMALL,
    PRUNED_BY_SENSITIVITY,
    REDUCTIONS,
    Network,
    compared,
)
from labelled_images import fashion_mnist
from outcomes import Trained, collect
from pareto_chart import draw, panels
from result_table import as_markdown
from ruamel.yaml import YAML
from stored_runs import ESTIMATE, Recipe, store
from training_queue import Queue, Trainings
from training_results import MODEL, RESULT

from bench.records.case import Case
from bench.records.manifest import ModelFile, PlanFacts
from bench.store.reader import Run
from models import MODELS
from models.kinds import KINDS

SMALL = "shufflenet_v2_x0_5_fashion_mnist"
LARGE = "shufflenet_v2_x1_0_fashion_mnist"


def test_every_scheme_is_compared_at_every_reduction_or_says_why_not() -> None:
    found = {(each.model, each.method, each.reduction): each for each in compared()}
    for model, reductions in REDUCTIONS.items():
        assert (model, DENSE, None) in found
        for method in (*KINDS, PRUNED_BY_SENSITIVITY):
            some = reductions
            if method in ONLY_SMALL:
                some = reductions[-1:] if model == SMALL else ()
            for reduction in some if method != DENSE else ():
                network = found.get((model, method, reduction)) or found[model, method, None]
                if not network.problem:
                    saved = 1 - MODELS[model].total(network.scheme) / MODELS[model].parameters
                    assert saved >= reduction


@pytest.mark.parametrize(
    ("model", "method", "reduction", "ceiling"),
    [(SMALL, "recursive", 0.25, "20.4 %"), (LARGE, "reuse-2", 0.35, "30.9 %")],
)
def test_what_cannot_be_reached_says_the_ceiling(
    model: str, method: str, reduction: float, ceiling: str
) -> None:
    wanted = (model, method, reduction)
    (network,) = [x for x in compared() if (x.model, x.method, x.reduction) == wanted]
    assert ceiling in network.problem


def stored(
    out: Path,
    network: Network,
    seed: int,
    top1: float,
    *,
    scheme: str | None = None,
    checkpoint_sha256: str = "",
    started_from: str = "",
) -> None:
    result = {
        "model": network.model,
        "scheme": scheme or str(network.scheme),
        "seed": seed,
        "checkpoint_sha256": checkpoint_sha256,
        "init_from_sha256": started_from if network.starts_dense else None,
        "parameters": MODELS[network.model].total(network.scheme),
        "test_top1": top1,
        "train_images": 20_000,
        "selection_images": 2222,
        "test_images": 10_000,
        "epochs": 10,
        "torch": "2.9",
        "device": "cpu",
        "threads": 1,
        "wall_s": 60.0,
    }
    folder = network.folder(out, seed)
    folder.mkdir(parents=True)
    (folder / RESULT).write_text(json.dumps(result))


def page(out: Path, *, dense: float) -> str:
    for seed, shift in enumerate((-0.01, 0.0, 0.01)):
        stored(out, Network(SMALL, DENSE), seed, dense + shift)
        stored(out, Network(SMALL, "basis", 0.15), seed, dense + shift - 0.02)
        stored(out, Network(SMALL, "soft", 0.15), seed, dense + shift - 0.05 + shift / 10)
    trained = collect(compared(), out, 3, None)
    return as_markdown(trained, None, "pareto.svg")


def test_the_table_has_means_deviations_and_differences_by_seed(tmp_path: Path) -> None:
    text = page(tmp_path, dense=0.9)
    assert "| dense | 351,610 | 0.0 % | 90.00 ± 1.00 % (3) |" in text
    assert "| basis at 15 % | 298,830 | 15.0 % | 88.00 ± 1.00 % (3) | -2.00 ± 0.00 |" in text
    assert "fashion-mnist --train-images 20000 --epochs 10 --seeds 3`" in text
    assert "| recursive at 25 % | a reduction of 25 % cannot be reached" in text
    assert f"| {SMALL} | 15 % | basis | soft | +3.00 | +2.75 to +3.25 | method better |" in text


def test_the_dense_network_trained_on_is_a_row_and_no_graph_of_its_own(tmp_path: Path) -> None:
    (again,) = [each for each in compared() if (each.model, each.method) == (SMALL, DENSE_AGAIN)]
    dense = Network(SMALL, DENSE)
    stored(tmp_path, dense, 0, 0.9)
    stored(tmp_path, again, 0, 0.91)
    assert again.starts_dense
    assert str(again.scheme) == "dense"
    # Not below what --trained names: two trainings of one network would be one too many.
    assert again.folder(tmp_path, 0).parent != dense.folder(tmp_path, 0).parent
    text = as_markdown(collect(compared(), tmp_path, 1, None), None, "pareto.svg")
    row = next(line for line in text.splitlines() if "| dense, trained for twice as long" in line)
    assert "| 351,610 | 0.0 % | 91.00 % (1) | +1.00 |" in row
    assert row.endswith("| costs what dense does |")


def test_a_weak_dense_network_makes_the_table_inconclusive(tmp_path: Path) -> None:
    text = page(tmp_path, dense=0.84)
    assert "***Inconclusive***: the dense network reaches 84.00 %" in text.split("## ")[1]
    assert f"| {SMALL} | 15 % | basis | soft | +3.00 | +2.75 to +3.25 | inconclusive |" in text
    assert "better |" not in text


def test_a_good_dense_network_is_not_called_inconclusive(tmp_path: Path) -> None:
    assert "nconclusive" not in page(tmp_path, dense=0.9).split("## ")[1]


def test_what_was_not_measured_is_drawn_and_written_as_such(tmp_path: Path) -> None:
    text = page(tmp_path, dense=0.9)
    assert "Nothing has been measured on a board yet" in text
    assert draw(collect(compared(), tmp_path, 3, None))["png"].startswith(b"\x89PNG")


def test_the_front_has_what_no_other_network_beats_and_no_estimate(tmp_path: Path) -> None:
    cheap, beaten, best, dear = (1.0, 0.88), (2.0, 0.87), (3.0, 0.90), (4.0, 0.90)
    trained = []
    for p50_ms, top1 in (cheap, beaten, best, dear):
        recipe = Recipe(run_id=f"run-{p50_ms}", p50_ms=p50_ms, power=ESTIMATE)
        trial = store(tmp_path, recipe).trials[0]
        network = Network(SMALL, "basis", 0.15)
        trained.append(Trained(network, {0: {"test_top1": top1}}, (trial,)))
    energy, latency = panels(trained)
    assert [[point.number for point in step] for step in latency.steps] == [[1, 3]]
    assert energy.x_label.endswith("est.") and energy.steps == ()


def tiny(data: Path, out: Path) -> Trainings:
    return Trainings(data, out, train_images=128, epochs=1, batch=32, lr=0.05, seeds=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    """A dense network, and one pruned by sensitivity that started from it."""
    folder = tmp_path_factory.mktemp("trained")
    settings = tiny(fashion_mnist(folder / "data", train=300, test=20), folder / "out")
    assert Queue(settings, jobs=2).run(NETWORKS) == []
    return settings


NETWORKS = [Network(SMALL, DENSE), Network(SMALL, PRUNED_BY_SENSITIVITY, 0.15)]


def test_pruning_by_sensitivity_starts_from_the_dense_network_and_is_done_once(
    trained: Trainings,
) -> None:
    files = [network.folder(trained.out, 0) / RESULT for network in NETWORKS]
    dense, pruned = (json.loads(file.read_bytes()) for file in files)
    assert pruned["init_from_sha256"] == dense["checkpoint_sha256"]
    assert pruned["scheme"].startswith("prune-l1:")
    assert pruned["parameters"] <= 0.85 * dense["parameters"]
    before = [file.stat().st_mtime_ns for file in files]
    assert Queue(trained, jobs=1).run(NETWORKS) == []
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_training_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    settings = tiny(tmp_path, tmp_path / "out")
    networks = [Network(SMALL, DENSE), Network(SMALL, "prune-l1", 0.15)]
    failures = Queue(settings, jobs=1).run(networks)
    assert "train-images-idx3-ubyte" in failures[0]
    assert failures[1].endswith("the dense network that it starts from is not there")


def test_results_without_their_weights_count_until_another_training_starts_from_them(
    trained: Trainings, tmp_path: Path
) -> None:
    settings = replace(trained, out=tmp_path / "out")
    shutil.copytree(trained.out, settings.out)
    of_dense, of_pruned = (network.folder(settings.out, 0) for network in NETWORKS)
    (of_dense / MODEL).unlink()
    (of_pruned / MODEL).unlink()
    assert Queue(settings, jobs=1).run(NETWORKS) == []
    assert not (of_dense / MODEL).exists()
    before = (of_pruned / RESULT).read_bytes()
    (of_pruned / RESULT).unlink()
    assert Queue(settings, jobs=1).run(NETWORKS) == []
    again = json.loads((of_pruned / RESULT).read_bytes())
    assert again["checkpoint_sha256"] == json.loads(before)["checkpoint_sha256"]


def test_what_started_from_another_dense_network_does_not_count_and_is_trained_again(
    trained: Trainings, tmp_path: Path
) -> None:
    settings = replace(trained, out=tmp_path / "out")
    shutil.copytree(trained.out, settings.out)
    dense, pruned = (network.folder(settings.out, 0) / RESULT for network in NETWORKS)
    whole = json.loads(pruned.read_bytes())
    pruned.write_text(json.dumps({**whole, "init_from_sha256": "0" * 64}))
    found = collect(NETWORKS, settings.out, 1, None)
    assert [each.results.keys() for each in found] == [{0}, set()]
    before = dense.read_bytes()
    assert Queue(settings, jobs=1).run(NETWORKS) == []
    assert json.loads(pruned.read_bytes())["checkpoint_sha256"] == whole["checkpoint_sha256"]
    assert dense.read_bytes() == before


def test_all_trainings_that_the_repository_keeps_count() -> None:
    kept = Path(__file__).parents[2] / "docs" / "fashion-mnist"
    files = list(kept.glob(f"*/*/{RESULT}"))
    found = collect(compared(), kept, 3, None)
    assert sum(len(each.results) for each in found) == len(files) > 0


PRUNED = "prune-l1:28/28/28"
MEASURED = [Network(SMALL, DENSE), Network(SMALL, "basis", 0.15), NETWORKS[1]]


def planned(out: Path) -> dict[str, object]:
    settings = tiny(out / "data", out)
    text = plan_text(MEASURED, settings, Measuring("local", "quick"))
    plan: dict[str, object] = YAML(typ="safe").load(text)
    return plan


def test_networks_are_measured_without_their_weights_where_not_all_are_kept(tmp_path: Path) -> None:
    stored(tmp_path, MEASURED[0], 0, 0.9)
    plan = planned(tmp_path)
    # How many channels pruning by sensitivity leaves is only known once it was trained.
    assert plan["schemes"] == ["dense", "basis:0.15"]
    assert not plan.keys() & {"trained", "accuracy"}
    stored(tmp_path, MEASURED[2], 0, 0.89, scheme=PRUNED)
    assert planned(tmp_path)["schemes"] == ["dense", "basis:0.15", PRUNED]


def test_networks_are_measured_with_the_weights_of_one_seed_and_their_accuracy(
    tmp_path: Path,
) -> None:
    for network in MEASURED:
        scheme = PRUNED if network.by_sensitivity else None
        stored(tmp_path, network, 0, 0.9, scheme=scheme)
        (network.folder(tmp_path, 0) / MODEL).write_bytes(b"weights")
    plan = planned(tmp_path)
    assert plan["trained"] == "seed-0"
    assert str(plan["accuracy"]).startswith("fashion-mnist:")


def board_run(tmp_path: Path, *, weights: str | None) -> Run:
    """A run of the dense network, and of ``basis`` in one weight mode."""
    cases = (
        Case(device="orin", model=SMALL),
        Case(device="orin", model=SMALL, scheme="basis:0.15", weights="load"),
    )
    files = [] if weights is None else [f"{SMALL} dense", f"{SMALL} basis:0.15"]
    trained = {name: ModelFile(path="model.pt", sha256=weights or "") for name in files}
    plan = PlanFacts(trained=None if weights is None else trained)
    return store(tmp_path / "runs", Recipe(cases=cases, manifest={"plan": plan}))


def rows(tmp_path: Path, run: Run) -> dict[str, str]:
    text = as_markdown(collect(compared(), tmp_path, 1, run), run, "pareto.svg")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].strip("| "): line for line in reversed(lines)} | {"": text}


def test_costs_are_shown_of_networks_that_were_measured_with_other_weights(tmp_path: Path) -> None:
    stored(tmp_path, Network(SMALL, DENSE), 0, 0.9)
    stored(tmp_path, Network(SMALL, BASIS_FROM_DENSE, 0.15), 0, 0.89)
    run = board_run(tmp_path, weights=None)
    found = rows(tmp_path, run)
    assert "5.0" in found["dense"]
    assert "10.0" in found["basis at 15 %"]
    assert "not trained" in found["basis at 15 %"]
    assert "pseudo-random weights in place of trained ones" in found[""]
    trained = collect(compared(), tmp_path, 1, run)
    labels = {each.network.method: len(each.trials) for each in trained if each.trials}
    assert labels == {DENSE: 1, DENSE_AGAIN: 1, "basis": 1, BASIS_FROM_DENSE: 1}


def test_a_run_with_the_weights_of_a_training_shows_that_training_alone(tmp_path: Path) -> None:
    stored(tmp_path, Network(SMALL, DENSE), 0, 0.9, checkpoint_sha256="5a" * 32)
    run = board_run(tmp_path, weights="5a" * 32)
    found = rows(tmp_path, run)
    assert "5.0" in found["dense"]
    assert found["basis at 15 %"].endswith("| not measured |")
    assert "with the trained weights of seed 0" in found[""]
