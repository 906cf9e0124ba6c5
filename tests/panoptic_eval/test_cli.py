import csv
import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import random_maps

import panoptic_eval
import panoptic_eval.cli
from panoptic_eval.cli import main
from panoptic_eval.datasets import FORMATS


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(8)
    categories = random_maps.catalogue(rng)
    return random_maps.write(tmp_path / "data", categories, random_maps.pairs(rng, categories, images=6))


def run(capsys, *arguments):
    main([str(a) for a in arguments])
    return capsys.readouterr().out


def test_prints_scores_then_sizes(folders, capsys):
    gt, pred = folders
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet")
    assert out.index("| PQ† ") < out.index("| mask AP ") < out.index("from_percent")
    assert "6 images" in out
    assert "COCO panoptic" in out


def test_per_category_prints_every_category(folders, capsys):
    gt, pred = folders
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--per-category")
    for category in json.loads(gt.read_text())["categories"]:
        assert category["name"] in out


def test_images_that_were_to_be_left_out_are_counted_beside_the_others(folders, capsys):
    gt, pred = folders
    rows = json.loads(pred.read_text())
    gone = rows["annotations"].pop()
    (pred.with_suffix("") / gone["file_name"]).unlink()
    pred.write_text(json.dumps(rows))
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--missing", "skip")
    assert "5 images (1 without prediction are left out), scores" in out
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--missing", "empty")
    assert "6 images (1 without prediction count as predicted void), scores" in out


def test_faults_are_printed_and_the_exit_code_is_1(folders, capsys):
    gt, pred = folders
    with pytest.raises(SystemExit) as stop:
        run(capsys, "--pred", pred.parent / "nowhere", "--gt", gt)
    assert str(stop.value.code).startswith("panoptic-eval: 1 fault")
    done = subprocess.run(
        [sys.executable, "-m", "panoptic_eval.cli", "--pred", "nowhere", "--gt", str(gt)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pred", "a", "--gt", "b", "--shard", "1/2"), "--shard needs --out"),
        (("--pred", "a", "--gt", "b", "--out", "c", "--shard", "half"), "expected i/n"),
        (("--pairs", "a", "--gt", "b"), "takes the place"),
        (("--pairs", "nowhere"), "tables.npz"),
        (("rescore", "nowhere"), "tables.npz"),
        (("merge",), "no shard"),
        (("compare", "a", "b", "--resamples", "0"), "--resamples 0: expected 1 to 100000"),
        (("draw", "a", "--out", "b", "--images", "0"), "--images 0: expected 1 to"),
    ],
)
def test_options_that_do_not_go_together(arguments, message, capsys):
    with pytest.raises(SystemExit, match=message):
        run(capsys, *arguments)


FLAGS = [
    (("--workers", "-1"), "--workers -1: expected 1 to"),
    (("--workers", "0"), "--workers 0: expected"),
    (("--percentiles", "0", "200"), "--percentiles 0 200: expected"),
    (("--percentiles", "nan", "1"), "--percentiles nan 1: expected"),
    (("--percentiles", "50"), "--percentiles 50: expected"),
    (("--percentiles",), "--percentiles without a value: expected"),
    (("--area-edges", "5"), "--area-edges 5: expected"),
    (("--shard", "3/2", "--out", "o"), "--shard 3/2: expected"),
    (("--shard", "1/" + "9" * 5000, "--out", "o"), "--shard 1/999"),
    (("--dask", "nonsense"), "--dask nonsense"),
    (("--things",), "--things names none; expected"),
    (("--resamples", "100000000000"), "--resamples 100000000000: expected 0 to 100000"),
    (("--seed", "-1"), "--seed -1: expected 0 to"),
]


@pytest.mark.parametrize(("flags", "message"), FLAGS)
def test_a_flag_without_meaning_is_refused_before_anything_is_counted(flags, message, folders, tmp_path, monkeypatch):
    if "--dask" in flags:
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    gt, pred = folders
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["--pred", str(pred), "--gt", str(gt), "--quiet", *flags])
    lines = str(stop.value.code).splitlines()
    assert lines[0].startswith("panoptic-eval: ")
    assert message in lines[-1]
    assert len(lines[-1]) < 300
    assert not (tmp_path / "o").exists()


def test_a_path_that_is_too_long_is_shortened_in_the_message(folders):
    gt, _ = folders
    with pytest.raises(SystemExit) as stop:
        main(["--pred", "a" * 5000, "--gt", str(gt)])
    assert "aaa…" in str(stop.value.code)
    assert len(str(stop.value.code)) < 300


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "panoptic_eval.cli", *map(str, arguments)], stderr=subprocess.PIPE, text=True, **options
    )


def blocked(folder):
    """Folders for --out in which something stands in the way, by what is wrong."""
    (folder / "file").touch()
    (folder / "loop").symlink_to("loop")
    (folder / "report/report.json").mkdir(parents=True)
    (folder / "journal/pairs.journal").mkdir(parents=True)
    return ("file", "loop", "report", "journal")


def test_what_stands_in_the_way_of_the_output_is_named(folders, tmp_path):
    gt, pred = folders
    for name in blocked(tmp_path):
        done = command("--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / name, stdout=subprocess.DEVNULL)
        assert done.returncode == 1, name
        assert "Traceback" not in done.stderr
        assert str(tmp_path / name) in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_room_on_standard_output_is_one_line(folders):
    gt, pred = folders
    with Path("/dev/full").open("w") as full:
        done = command("--pred", pred, "--gt", gt, "--quiet", stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "panoptic-eval: standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_fault(folders):
    gt, pred = folders
    read, write = os.pipe()
    os.close(read)
    done = command("--pred", pred, "--gt", gt, "--quiet", stdout=write)
    os.close(write)
    assert done.returncode == 141
    assert "ipe" not in done.stderr  # neither BrokenPipeError nor Broken pipe


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_terminal_without_daggers_shows_the_rest(environment, folders):
    gt, pred = folders
    done = command("--pred", pred, "--gt", gt, "--quiet", stdout=subprocess.PIPE, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    assert "PQ?" in done.stdout
    done = command("score", "--help", stdout=subprocess.PIPE, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["\x1b[2J\x1b]0;owned\x07", "a|b\nc", '=HYPERLINK("http://x","y")', "+1", "-1", "@sum", "\t=1"]
)
def test_names_of_categories_are_text_wherever_they_are_shown(name, folders, tmp_path, capsys):
    gt, pred = folders
    for path in folders:
        data = json.loads(path.read_text())
        data["categories"][0]["name"] = name
        path.write_text(json.dumps(data))
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--per-category", "--out", tmp_path / "out")
    assert all(line.isprintable() for line in out.split("\n"))
    lines = [line.replace("\\|", "") for line in out.splitlines() if line.startswith("|")]
    table = lines[-len(json.loads(gt.read_text())["categories"]) - 2 :]
    assert len({line.count("|") for line in table}) == 1
    text = (tmp_path / "out/per_category.csv").read_text()
    assert all(line.isprintable() for line in text.split("\n"))
    cells = [row["name"] for row in csv.DictReader(text.splitlines())]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert json.loads((tmp_path / "out/report.json").read_text())["categories"][0]["name"] == name


@pytest.mark.parametrize("arguments", [[], ["--pred", "a"], ["compare", "a"], ["--nonsense"], ["draw", "a"]])
def test_a_command_that_is_not_understood_has_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tabel", "tabel is no command; expected one of score, rescore, merge,"),
        ("tabel", "check, table, plot; did you mean table?"),
        ("predictions/", "plot; predictions are given by --pred, a ground truth by --gt"),
    ],
)
def test_a_first_word_that_is_no_command_is_named(word, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main([word, "--pred", "a", "--gt", "b"])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


OUTPUTS = [
    ("--pred", "a", "--gt", "b", "--html", "PLACE"),
    ("report", "a", "--out", "PLACE"),
    ("check", "a", "--html", "PLACE"),
    ("compare", "a", "b", "--out", "PLACE"),
    ("plot", "a", "--out", "a.pdf", "--csv", "PLACE"),
]


@pytest.mark.parametrize("arguments", OUTPUTS)
def test_a_folder_in_place_of_a_file_is_said_before_anything_is_read(arguments, tmp_path):
    with pytest.raises(SystemExit, match=f"{tmp_path}: is a folder; expected the name of a file"):
        main([str(tmp_path) if a == "PLACE" else a for a in arguments])


@pytest.mark.parametrize("arguments", OUTPUTS)
def test_a_file_that_cannot_be_written_is_said_before_anything_is_read(arguments, tmp_path):
    (tmp_path / "file").touch()
    place = tmp_path / "file" / ("below" * 20) / "x"  # a usual path is longer than 80 letters
    with pytest.raises(SystemExit, match=f"{place}: cannot be written: Not a directory"):
        main([str(place) if a == "PLACE" else a for a in arguments])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pred", "a", "--gt", "b", "--out", "c"), "interrupted; the same command goes on where it stopped"),
        (("--pred", "a", "--gt", "b"), "interrupted"),
        (("report", "a", "--out", "c"), "interrupted"),
        (("plot", "a", "--out", "c.pdf"), "interrupted"),
    ],
)
def test_only_counting_goes_on_where_it_was_interrupted(arguments, said, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(panoptic_eval.cli.tyro.extras, "subcommand_cli_from_dict", interrupt)
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 130
    assert capsys.readouterr().err == f"panoptic-eval: {said}\n"


def test_interrupted_while_it_is_loaded_the_command_says_so_without_a_traceback():
    code = "import sys\nclass Interrupt:\n    def find_spec(self, name, *_):\n        if name == 'tyro':\n"
    code += "            raise KeyboardInterrupt\nsys.meta_path.insert(0, Interrupt())\n"
    code += "from panoptic_eval.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "panoptic-eval: interrupted\n")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"panoptic-eval": "panoptic_eval.__main__:main"}


def test_help_names_commands_and_exit_codes_and_required_options_come_first(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"• {name}" in out for name in ("score", "rescore", "merge", "compare", "draw"))
    assert "Exit codes: 0 done" in out
    with pytest.raises(SystemExit, match="0"):
        main(["score", "--help"])
    out = capsys.readouterr().out
    titles = ["--pred", "--gt", "--root", "counting options", "outputs options", "running options"]
    assert [out.index(title) for title in titles] == sorted(out.index(title) for title in titles)
    assert "None" not in out


def test_json_on_standard_output_is_the_report(folders, tmp_path, capsys):
    gt, pred = folders
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--json", "--out", tmp_path / "out")
    assert json.loads(out) == json.loads((tmp_path / "out/report.json").read_text())
    run(capsys, "--pred", gt, "--gt", gt, "--quiet", "--out", tmp_path / "other")
    found = json.loads(run(capsys, "compare", tmp_path / "out", tmp_path / "other", "--resamples", 9, "--json"))
    assert {"format", "a", "b", "scores", "categories", "images"} == set(found)
    assert found["scores"][0]["b"] == 1


def test_scores_of_one_run_have_intervals(folders, tmp_path, capsys):
    gt, pred = folders
    out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "a", "--resamples", 50)
    assert "scores in percent [95 % interval over images]" in out
    report = json.loads((tmp_path / "a/report.json").read_text())
    low, high = report["intervals"]["PQ"]["all"]
    assert low < report["scores"]["PQ"]["all"] < high
    assert f"{100 * report['scores']['PQ']['all']:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in out
    assert run(capsys, "rescore", tmp_path / "a", "--resamples", 50) == out  # the same seed
    assert run(capsys, "rescore", tmp_path / "a", "--resamples", 50, "--seed", 1) != out
    assert "[" not in run(capsys, "rescore", tmp_path / "a", "--resamples", 0)


def test_an_anonymous_report_names_no_folder(folders, tmp_path, capsys):
    gt, pred = folders
    run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "a", "--anonymous")
    text = (tmp_path / "a/report.json").read_text()
    assert str(tmp_path) not in text
    assert "--anonymous" not in text
    run(capsys, "rescore", tmp_path / "a", "--out", tmp_path / "b")
    assert str(tmp_path) in (tmp_path / "b/report.json").read_text()


def test_runs_are_compared_by_their_names(folders, tmp_path, capsys):
    gt, pred = folders
    run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "mine")
    run(capsys, "--pred", gt, "--gt", gt, "--quiet", "--out", tmp_path / "perfect")
    options = ["--resamples", 999, "--per-category", "--out", tmp_path / "c.csv"]
    out = run(capsys, "compare", tmp_path / "mine", tmp_path / "perfect", *options)
    assert "6 images, scores in percent; low and high: 95 % interval of the difference" in out
    assert "| mine | perfect | difference |" in out
    assert "<0.002" in out
    assert "PQ of images that are better in perfect:" in out
    assert "PQ of images that are worse" not in out
    with (tmp_path / "c.csv").open() as file:
        rows = list(csv.DictReader(file))
    ids = {str(c["id"]) for c in json.loads(gt.read_text())["categories"]}
    assert {row["category_id"] for row in rows} == ids | {""}


def test_a_stored_run_is_drawn_without_torch(folders, tmp_path, capsys):
    gt, pred = folders
    run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "run")
    arguments = ["draw", str(tmp_path / "run"), "--out", str(tmp_path / "p"), "--images", "2"]
    code = f"import sys; from panoptic_eval.cli import main; main({arguments}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "2 pictures" in done.stdout
    assert len(list((tmp_path / "p").iterdir())) == 2


def test_a_shard_does_not_replace_another_or_a_whole_run(folders, tmp_path, capsys):
    pred, gt = folders
    of = ("--pred", str(pred), "--gt", str(gt), "--quiet", "--out", str(tmp_path / "out"))
    for _ in range(2):
        run(capsys, *of, "--shard", "1/3")
    before = (tmp_path / "out" / "tables.npz").read_bytes()
    for other in (("--shard", "2/3"), ()):
        with pytest.raises(SystemExit, match=r"holds the tables of shard 1/3, which those of .* would replace"):
            main([*of, *other])
    assert (tmp_path / "out" / "tables.npz").read_bytes() == before
    whole = (*of[:-1], str(tmp_path / "whole"))
    for _ in range(2):
        run(capsys, *whole)
    with pytest.raises(SystemExit, match="holds the tables of a whole run"):
        main([*whole, "--shard", "1/3"])


def test_shards_are_merged_into_the_same_report(folders, tmp_path, capsys):
    gt, pred = folders
    run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "whole")
    for k in (1, 2, 3):
        out = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--shard", f"{k}/3", "--out", tmp_path / f"shard{k}")
        assert f"shard {k}/3: 2 images" in out
        assert not (tmp_path / f"shard{k}" / "report.json").exists()  # a part must not look whole
    run(capsys, "merge", *(tmp_path / f"shard{k}" for k in (2, 3, 1)), "--out", tmp_path / "merged")
    for name in ("per_category.csv", "per_image.csv", "size_percentiles.csv"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    whole, merged = (json.loads((tmp_path / n / "report.json").read_text()) for n in ("whole", "merged"))
    assert {**merged, "provenance": 0} == {**whole, "provenance": 0}


def test_stored_tables_are_scored_again(folders, tmp_path, capsys):
    gt, pred = folders
    first = run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "out")
    assert run(capsys, "--pairs", tmp_path / "out") == first
    assert run(capsys, "--pairs", tmp_path / "out", "--quiet") == first
    other = run(capsys, "--pairs", tmp_path / "out", "--percentiles", 0, 50, 100)
    assert other.count("\n") == first.count("\n") - 3


def test_the_help_names_the_data_sets():
    assert ", ".join(data_set.name for data_set in FORMATS) == panoptic_eval.cli.DATA_SETS


def test_the_command_loads_nothing_heavy():
    heavy = {"torch", "numpy", "PIL", "jaxtyping", "pandas", "pyarrow", "matplotlib", "distributed", "scipy"}
    code = f"import sys, panoptic_eval.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_score_loads_nothing_that_it_does_not_need(folders):
    gt, pred = folders
    unneeded = {"numpy.ma", "PIL.Image", "pycocotools", "pandas", "matplotlib"}
    script = f"""import sys, panoptic_eval.cli
panoptic_eval.cli.main(["--pred", {str(pred)!r}, "--gt", {str(gt)!r}, "--quiet"])
print(sorted({unneeded} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def panoptic_eval_command(*arguments):
    script = f"from panoptic_eval.cli import main; main({[str(a) for a in arguments]})"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)


def test_the_version_is_one():
    assert (done := panoptic_eval_command("--version")).stdout == f"panoptic-eval {panoptic_eval.__version__}\n"
    assert done.stderr == ""
    assert importlib.metadata.version("panoptic-eval") == panoptic_eval.__version__
    assert f"\nversion: {panoptic_eval.__version__}\n" in (Path(__file__).parents[2] / "CITATION.cff").read_text()


@pytest.mark.parametrize(("core", "path"), [("", "fast"), ("off", "reference")])
def test_a_missing_core_is_slow_and_named_once(folders, tmp_path, monkeypatch, core, path):
    if core:
        monkeypatch.setenv("PANOPTIC_EVAL_CORE", core)
    gt, pred = folders
    done = panoptic_eval_command("--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "out")
    assert done.stderr.count("\n") == bool(core)
    assert ("install gcc" in done.stderr) == bool(core)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["provenance"]["path"] == path
    assert report["provenance"]["reference_images"] == (6 if path == "reference" else 0)


def test_check_prints_what_is_there_and_what_is_wrong(folders, capsys, tmp_path):
    gt, pred = folders
    out = run(capsys, "check", gt, "--pred", pred, "--quiet", "--html", tmp_path / "page.html")
    assert "| images     | 6 " in out
    assert "can be scored: 0 errors" in out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    rows = json.loads(pred.read_text())
    rows["annotations"][0]["segments_info"].append({"id": 5000, "category_id": 5000})
    pred.write_text(json.dumps(rows))
    with pytest.raises(SystemExit) as stop:
        run(capsys, "check", gt, "--pred", pred, "--quiet", "--json")
    assert stop.value.code == 1
    values = json.loads(capsys.readouterr().out)
    assert not values["scorable"]
    assert any("category_id that is in no category" in f["text"] for f in values["findings"])


def test_check_is_strict_about_warnings_if_asked_to(folders, capsys):
    gt, _ = folders
    rows = json.loads(gt.read_text())
    rows["annotations"][0]["segments_info"].append({"id": 5000, "category_id": rows["categories"][0]["id"]})
    gt.write_text(json.dumps(rows))
    assert "has no pixel" in run(capsys, "check", gt, "--quiet")
    with pytest.raises(SystemExit) as stop:
        run(capsys, "check", gt, "--quiet", "--strict")
    assert stop.value.code == 1


@pytest.fixture
def two_runs(folders, capsys, tmp_path):
    gt, pred = folders
    for name in ("first", "second_50%"):
        run(capsys, "--pred", pred, "--gt", gt, "--quiet", "--out", tmp_path / "runs" / name, "--resamples", 0)
    return [tmp_path / "runs" / name for name in ("first", "second_50%")]


def test_table_prints_the_scores_of_runs(two_runs, capsys):
    out = run(capsys, "table", *two_runs, "--resamples", 5)
    assert out.splitlines()[2].startswith("| first ")
    assert "±" in out
    assert r"second\_50\% & " in run(capsys, "table", *two_runs, "--latex", "--resamples", 5)
    rows = list(csv.DictReader(run(capsys, "table", *two_runs, "--csv", "--resamples", 0).splitlines()))
    report = json.loads((two_runs[0] / "report.json").read_text())
    assert float(rows[0]["value"]) == report["scores"]["PQ"]["all"]
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit, match="expected one of them"):
        run(capsys, "table", *two_runs, "--csv", "--latex")


def test_table_warns_of_runs_on_other_images(two_runs, folders, capsys, tmp_path):
    gt, pred = folders
    main(["--pred", str(pred), "--gt", str(gt), "--quiet", "--out", str(tmp_path / "part"), "--shard", "1/2"])
    capsys.readouterr()
    main(["table", str(two_runs[0]), str(tmp_path / "part"), "--resamples", "0"])
    assert "not on the same images" in capsys.readouterr().err


def test_plot_draws_runs_by_size(two_runs, capsys, tmp_path):
    numbers = tmp_path / "figure.csv"
    run(capsys, "plot", *two_runs, "--out", tmp_path / "figure.svg", "--csv", numbers, "--resamples", 5)
    assert "<svg" in (tmp_path / "figure.svg").read_text()
    rows = list(csv.DictReader(numbers.open()))
    assert {row["minus"] for row in rows} == {"", "first"}
    with pytest.raises(SystemExit, match=r"\.pdf"):
        run(capsys, "plot", *two_runs, "--out", tmp_path / "figure.doc")
    for show in ("precision-recall", "reliability"):
        run(capsys, "plot", *two_runs, "--out", tmp_path / f"{show}.svg", "--show", show)
        assert "<svg" in (tmp_path / f"{show}.svg").read_text()
    with pytest.raises(SystemExit, match="--csv holds numbers by size"):
        run(capsys, "plot", *two_runs, "--out", tmp_path / "x.svg", "--show", "reliability", "--csv", numbers)


def test_groups_and_slices_are_printed_and_stored(two_runs, capsys, tmp_path):
    first = two_runs[0]
    categories = json.loads((first / "report.json").read_text())["categories"]
    groups, slices = tmp_path / "groups.csv", tmp_path / "slices.csv"
    groups.write_text("category,group\n" + "".join(f"{row['id']},all of them\n" for row in categories))
    slices.write_text("image_id,half\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(1, 7)))
    out = run(
        capsys, "rescore", first, "--groups", groups, "--slices", slices, "--out", tmp_path / "new", "--resamples", 5
    )
    assert "| all of them |" in out
    assert "| half      | a     |      3 |" in out
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert report["groups"][0]["PQ"] == pytest.approx(report["scores"]["PQ"]["all"])
    assert {row["value"] for row in report["slices"]} == {"a", "b"}
    with pytest.raises(SystemExit, match="no supercategories"):
        run(capsys, "rescore", first, "--groups", "supercategory")


def test_label_errors_are_drawn_if_asked_for(two_runs, capsys, tmp_path):
    run(capsys, "draw", two_runs[0], "--out", tmp_path / "pictures", "--label-errors", "--quiet", "--images", 2)
    assert len(list((tmp_path / "pictures").glob("*.png"))) <= 2
