import csv
import itertools
import json
import sys
from dataclasses import replace

import pandas as pd
import pytest
from tiny_training import config
from variant_folders import write_checkpoints, write_validation

from model.checkpoint import save_network
from model.checkpoint_files import fingerprint
from model.train import initial_network
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import evaluate
from panoptic_eval.outputs.csv import write_rows
from reproduce import embedded, fig5, table1, train, verify
from reproduce.embedded import CHECKPOINTS, EMBEDDED, TABLE
from reproduce.options import Comparison
from reproduce.systems import checkpoints, images, systems
from reproduce.variants import BY_NAME
from reproduce.verify import faults


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("variants")
    gt = write_validation(root / "gt")
    runs = {"crop+cabb+isus/seed0": 3, "crop/seed1": 1, "crop/seed0": 2}
    write_checkpoints(root / "checkpoints", gt, runs)
    return root


def comparison(folder, **options):
    return Comparison(
        gt=str(folder / "gt"),
        checkpoints=folder / "checkpoints",
        folder=folder / "runs",
        device="cpu",
        **options,
    )


def run(main, folder, monkeypatch, *options):
    given = ["--gt", folder / "gt", "--checkpoints", folder / "checkpoints", "--folder", folder / "runs"]
    monkeypatch.setattr(sys, "argv", ["program", *map(str, [*given, "--device", "cpu", *options])])
    main()


def test_checkpoints_are_listed_in_the_order_of_the_variants(folder):
    assert [(c.variant, c.seed) for c in checkpoints(comparison(folder))] == [("crop", 0), ("crop+cabb+isus", 0)]
    every = checkpoints(comparison(folder, full=True))
    assert [(c.variant, c.seed) for c in every] == [("crop", 0), ("crop", 1), ("crop+cabb+isus", 0)]


def test_systems_are_what_predict_and_evaluate_give_and_are_kept(folder):
    options = comparison(folder)
    gt = images(options)
    first = systems(options, gt)
    report = evaluate(first[0].predictions, folder / "gt")
    stored = json.loads((first[0].predictions.parent / "report" / "report.json").read_text())
    assert stored["scores"]["PQ"]["all"] == report.scores["PQ"]["all"]
    written = {p: p.stat().st_mtime_ns for p in folder.joinpath("runs").rglob("*.png")}
    assert len(written) == 2 * len(gt.maps)
    systems(options, gt)
    assert {p: p.stat().st_mtime_ns for p in folder.joinpath("runs").rglob("*.png")} == written


def test_side_by_side_files_are_the_same(folder, tmp_path):
    options = comparison(folder)
    gt = images(options)
    alone = systems(options, gt)
    together = systems(replace(options, folder=tmp_path, side_by_side=2), gt)
    assert [e.label for e in together] == [e.label for e in alone]
    assert [e.tables.panoptic.digest for e in together] == [e.tables.panoptic.digest for e in alone]


def test_the_table_has_a_row_a_system_and_says_where_it_comes_from(folder, monkeypatch, capsys, tmp_path):
    options = comparison(folder)
    (other, _) = systems(options, images(options))
    run(table1.main, folder, monkeypatch, "--full", "--predictions", other.predictions, "--out", tmp_path)
    page = (tmp_path / "table1_full.md").read_text()
    assert "other authors" not in page
    assert page.strip() in capsys.readouterr().out
    assert [title in page for title in ("| CROP ", "| CROP + CABB + ISUS ", "| predictions ")] == [True] * 3
    assert "Spread over seeds" in page
    assert "mvd FULL" in page
    rows = list(csv.DictReader((tmp_path / "table1_full.csv").open()))
    assert [(r["name"], r["seeds"]) for r in rows if r["column"] == "PQ"] == [
        ("crop", "2"),
        ("crop+cabb+isus", "1"),
        ("predictions", "1"),
    ]
    values = {(r["name"], r["column"]): float(r["value"]) for r in rows}
    differences = list(csv.DictReader((tmp_path / "table1_full_differences.csv").open()))
    assert {(r["a"], r["b"]) for r in differences} == {("crop", "crop+cabb+isus")}
    for r in differences:
        assert float(r["low"]) <= float(r["high"])
        if ("predictions", r["column"]) in values:  # those of the one seed of CROP that both variants have
            difference = values["crop+cabb+isus", r["column"]] - values["predictions", r["column"]]
            assert float(r["difference"]) == pytest.approx(difference, abs=1e-12)
    assert "| CROP + CABB + ISUS − CROP " in page
    about = json.loads((tmp_path / "table1_full.json").read_text())
    assert set(about["checkpoints"]) == {"crop/seed0", "crop/seed1", "crop+cabb+isus/seed0"}
    assert len(about["data"]["gt_sha256"]) == 64


def test_variants_that_are_not_trained_yet_are_named_below_the_table(folder, monkeypatch, tmp_path):
    """There are two networks, and no pair table."""
    data = replace(EMBEDDED, results=tmp_path / "results")
    write_checkpoints(data.checkpoints, folder / "gt", {"crop+cabb+isus/seed0": 3, "crop/seed0": 2})
    monkeypatch.setattr(embedded, "EMBEDDED", data)
    monkeypatch.setattr(embedded.Embedded, "draw", lambda self, split, images=None: folder / "gt")
    monkeypatch.setattr(sys, "argv", ["program", "--folder", str(folder / "runs"), "--device", "cpu"])
    table1.main()
    text = (data.results / "table1.md").read_text()
    assert "| CROP + CABB + ISUS " in text
    absent = "Not trained yet: FULL; CROP + CABB; CROP + ISUS; Seamless; "
    assert absent in text.partition("## Published")[0]
    assert f"wider than the training crop ({data.crop:g} pixels)" in text
    assert {path.parent.name for path in data.pairs.rglob("seed0.npz")} == {"crop", "crop+cabb+isus"}
    write_rows(
        [{"variant": name, "seed": 0, "weights_sha256": fingerprint(data.checkpoints / name / "seed0")}
         for name in ("crop", "crop+cabb+isus")],
        data.table,
    )  # fmt: skip
    monkeypatch.setattr(verify, "differing_settings", lambda data, folder: "")
    assert faults(data) == []


def test_a_network_of_other_authors_comes_with_its_folder_beside_its_published_row(folder, monkeypatch, tmp_path):
    catalogue = images(comparison(folder)).catalogue
    for name, family in (("deeplab-hr48", "centres"), ("tascnet+crop+cabb+isus", "tascnet")):
        save_network(tmp_path / name / "seed0", initial_network(config(family), catalogue, 0), catalogue)
    arguments = [
        "--gt",
        folder / "gt",
        "--checkpoints",
        tmp_path,
        "--out",
        tmp_path / "out",
        "--folder",
        tmp_path / "runs",
    ]
    monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
    table1.main()
    page = (tmp_path / "out/table1.md").read_text()
    lines = [line.split("|") for line in page.splitlines()]
    ours, printed = (
        [cell.strip() for cell in line[1:8]]
        for line in lines
        if line[1:2] and "Deeplab, HR48" in line[1] and len(line) == 9
    )
    assert printed == ["Deeplab, HR48, published", "Mapillary Vistas", "40.6", "–", "–", "17.8", "57.6"]
    values = {
        r["column"]: float(r["value"])
        for r in csv.DictReader((tmp_path / "out/table1.csv").open())
        if r["name"] == "deeplab-hr48"
    }
    assert ours == [
        "Deeplab, HR48",
        "ours",
        *(f"{100 * values[c]:.1f}" for c in ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU")),
    ]
    assert "their order says nothing" in page
    assert "| TASCNet + CROP + CABB + ISUS " in page
    assert "TASCNet + CROP + CABB + ISUS, published" not in page


def test_nothing_to_compare_still_prints_what_was_published(folder, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["program", "--gt", str(folder / "gt"), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="nothing to compare"):
        table1.main()
    assert "mvd FULL" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("side_by_side", [1, 2])
def test_images_that_are_not_there_are_an_error(folder, side_by_side):
    options = replace(comparison(folder), folder=folder / "blind", side_by_side=side_by_side)
    gt = images(options)
    blind = replace(gt, maps=tuple(replace(m, photograph=None) for m in gt.maps))
    with pytest.raises(InputError, match="where image image0 is") as error:
        systems(options, blind)
    assert str(error.value).count("1 fault") == 1


def test_fig_5_has_a_row_a_system_kind_and_bin(folder, monkeypatch, capsys, tmp_path):
    run(fig5.main, folder, monkeypatch, "--out", tmp_path)
    rows = list(csv.DictReader((tmp_path / "fig5.csv").open()))
    assert {r["name"] for r in rows} == {"crop", "crop+cabb+isus"}
    assert len(rows) == 2 * 2 * 5
    assert {p.suffix for p in tmp_path.iterdir()} == {".png", ".pdf", ".csv", ".json"}
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".json"}
    run(fig5.main, folder, monkeypatch, "--out", tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".json"} == before  # same bytes
    assert "AP_box" in capsys.readouterr().out


def test_the_plan_trains_the_most_wanted_first():
    names = [run.name for run in train.PLAN]
    assert len(names) == len(set(names)) == sum(variant.seeds for variant in BY_NAME.values())
    assert names[:5] == [f"{name}/seed0" for name in ("full", "crop", "crop+cabb", "crop+isus", "crop+cabb+isus")]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), [run.name for run in train.PLAN if BY_NAME[run.variant].registered]),
        (("--variants", "deeplab-hr48", "crop", "--seeds", "0"), ["crop/seed0", "deeplab-hr48/seed0"]),
    ],
)
def test_registered_runs_are_carried_out_unless_others_are_named(arguments, names, monkeypatch):
    plans = []
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    monkeypatch.setattr(train, "parts_of", lambda options: {})
    monkeypatch.setattr(train, "carry_out", lambda plan, options, parts: plans.append([run.name for run in plan]))
    train.main()
    assert plans == [names]
    assert len([run for run in train.PLAN if BY_NAME[run.variant].registered]) == 23  # as registration.md says


@pytest.mark.parametrize("preset", train.TRAINING_IMAGES)
def test_runs_of_a_preset_have_folders_of_their_own(preset):
    options, run = train.Options(preset=preset), train.PLAN[0]
    assert options.folder(run).as_posix() == f"runs/{preset}/training/{run.name}"
    assert options.results.as_posix() == f"results/{preset}"
    assert (options.results == EMBEDDED.results) == (preset == EMBEDDED.preset)


def test_runs_take_turns_on_all_gpus_else_on_cores():
    assert train.devices(train.Options(side_by_side=5), 2) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert train.devices(train.Options(side_by_side=2), 0) == ["cpu", "cpu"]


def test_runs_are_carried_out_on_free_devices_and_the_steps_of_all_are_counted(folder, tmp_path, monkeypatch):
    """Each run here logs its steps at once; a second call finds them done."""
    options = train.Options(runs=tmp_path, side_by_side=2, out=tmp_path / "results")
    plan, used, shipped, bars = train.PLAN[:4], [], [], []

    def trained(run, options, parts, device):
        used.append((run, device))
        (tmp_path / run.name).mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"step": k + 1}) for k in range(train.planned_steps(run, options))]
        (tmp_path / run.name / train.METRICS).write_text("\n".join(lines) + '\n{"step"')

    class Bar(train.tqdm):
        def __init__(self, **given):
            bars.append((given["initial"], self))
            super().__init__(**given, disable=False)

    monkeypatch.setattr(train, "train", trained)
    monkeypatch.setattr(train, "ship", lambda run, options: shipped.append(run))
    monkeypatch.setattr(train, "tqdm", Bar)
    monkeypatch.setattr(train.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(train, "cached_index", lambda gt, progress: None)
    monkeypatch.setattr(train, "ground_truth", lambda data, split: None)
    train.carry_out(plan, options, {"training": folder / "gt"})
    assert {run for run, _ in used} == set(shipped) == set(plan)
    assert {device for _, device in used} == {"cuda:0", "cuda:1"}
    total = sum(train.planned_steps(run, options) for run in plan)
    train.carry_out(plan, options, {"training": folder / "gt"})
    assert [initial for initial, _ in bars] == [0, total]
    assert all(bar.n == total for _, bar in bars)


def test_a_run_that_fails_leaves_the_rest_of_the_plan(folder, tmp_path, monkeypatch):
    begun = []

    def fails(run, options, parts, device):
        begun.append(run)
        raise ValueError("too large")

    monkeypatch.setattr(train, "train", fails)
    monkeypatch.setattr(train, "cached_index", lambda gt, progress: None)
    monkeypatch.setattr(train, "ground_truth", lambda data, split: None)
    with pytest.raises(ValueError, match="too large"):
        train.carry_out(train.PLAN, train.Options(runs=tmp_path, side_by_side=1), {"training": folder / "gt"})
    assert len(begun) < len(train.PLAN)


def test_a_finished_run_is_shipped_with_a_row_of_its_losses(folder, tmp_path, monkeypatch):
    """`model.train` itself is tested elsewhere: here it has finished already."""
    options = train.Options(runs=tmp_path / "runs", out=tmp_path / "results")
    networks, rows = options.results / CHECKPOINTS, options.results / TABLE
    done = train.Run("crop", 0)
    write_checkpoints(options.runs, folder / "gt", {done.name: 0})
    losses = dict.fromkeys(("objectness", "anchor_box", "category", "proposal_box", "mask", "semantic"), 0.5)
    counts = {"instances": 40, "positive_anchors": [9, 3, 1]}
    lines = [
        json.dumps(
            {"step": k + 1, "images": 8 * (k + 1), "loss": 3, **losses, "learning_rate": 0.1, "seconds": 2.0, **counts}
        )
        for k in range(3)
    ]
    (options.runs / done.name / train.METRICS).write_text("\n".join(lines))
    monkeypatch.setattr(train, "commit", lambda: "abc")
    commands = []
    monkeypatch.setattr(
        train, "follow", lambda run, training, evaluation, environment: commands.append((training, evaluation))
    )
    parts = {"training": folder / "gt", "validation": folder / "gt"}
    train.train(done, options, parts, "cuda:1")
    train.ship(done, options)
    assert train.shipped(options.results) == (done,)
    ((training, evaluation),) = commands
    assert training[1:4] == ["-m", "model.train", EMBEDDED.preset]
    named = dict(itertools.pairwise(training))
    assert (named["--arm"], named["--seed"], named["--device"]) == ("crop", "0", "cuda:1")
    assert int(named["--keep-every"]) * train.EVALUATIONS == train.planned_steps(done, options)
    assert evaluation[1:4] == ["-m", "reproduce.evaluation", str(options.runs / done.name)]
    assert dict(itertools.pairwise(evaluation))["--validation"] == str(folder / "gt")
    assert pd.read_csv(rows)[["variant", "seed", "steps"]].to_dict("list") == {
        "variant": ["crop"],
        "seed": [0],
        "steps": [3],
    }
    row = train.row(done, options)
    assert (row["variant"], row["seed"], row["steps"], row["samples"], row["seconds"]) == ("crop", 0, 3, 24, 6)
    assert row["mask"] == 0.5
    assert (row["instances"], row["coarsest_anchors"]) == (40, 1)
    assert row["commit"] == "abc"
    write_rows([{**row, "variant": name, "steps": 7} for name in ("crop", "full", "crop+cabb")], rows)
    write_checkpoints(networks, folder / "gt", {"full/seed0": 0})
    train.record(done, options)  # replaces its own row, keeps that of FULL, drops that of a network that is gone
    kept = pd.read_csv(rows)
    assert list(zip(kept["variant"], kept["steps"], strict=True)) == [("full", 7), ("crop", 3)]
    (options.runs / done.name / train.METRICS).write_text(
        json.dumps(
            {"step": 1, "images": 8, "loss": 3, "center": 3.0, "learning_rate": 0.1, "seconds": 2, "instances": 9}
        )
    )
    train.record(done, options)  # of a network without anchors and with other losses
    kept = pd.read_csv(rows).set_index("variant")
    assert (kept["mask"]["full"], kept["center"]["crop"]) == (0.5, 3)
    assert kept[["mask", "coarsest_anchors"]].loc["crop"].isna().all()
    assert kept["center"].isna()["full"]
    monkeypatch.setattr(train, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="expected 10 at most"):
        train.ship(done, options)
