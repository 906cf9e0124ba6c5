import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from panoptic_eval.errors import InputError
from reproduce import learning_curves
from reproduce.experiments import LARGEST, SCORES, read_runs
from reproduce.learning import LEARNING, last_doubling, last_doublings


def write_run(folder, steps, scores, *, planned=None, pixels=True, torn=False):
    """A run of so many steps of half a second and 100 pixels, scored as {step: PQ} on the validation images."""
    folder.mkdir(parents=True)
    more = {"pixels": 100} if pixels else {}
    lines = [
        json.dumps({"step": k, "images": 8 * k, "loss": 3.0, "mask": 1.0, "learning_rate": 0.1, "seconds": 0.5, **more})
        for k in range(1, steps + 1)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "config.json").write_text(json.dumps({"schedule": {"steps": planned or steps}}))
    of = {**dict.fromkeys(SCORES, 0.1), LARGEST: None}
    rows = [
        {"step": step, "split": split, "images": 7, **of, "PQ": pq + (0.01 if split == "training" else 0)}
        for step, pq in scores.items()
        for split in ("validation", "training")
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows) + ('{"step": 9' if torn else "")
    (folder / "evaluation.jsonl").write_text(content)


@pytest.fixture
def root(tmp_path):
    write_run(tmp_path / "crop" / "seed0", 8, {2: 0.2, 4: 0.3, 8: 0.4}, torn=True)
    write_run(tmp_path / "crop" / "seed1", 8, {2: 0.2, 4: 0.36, 8: 0.4})
    write_run(tmp_path / "full", 6, {2: 0.1, 6: 0.2}, planned=8, pixels=False)
    return tmp_path


def test_rows_say_what_was_spent_until_each_score(root):
    rows = learning_curves.curve_rows(read_runs(root))
    assert list(rows.groupby(["variant", "seed"]).size()) == [6, 6, 4]
    crop = rows[(rows["variant"] == "crop") & (rows["seed"] == 1) & (rows["split"] == "validation")]
    assert crop["step"].tolist() == [2, 4, 8]
    assert crop["pixels"].tolist() == [200, 400, 800]
    assert crop["seconds"].tolist() == [1, 2, 4]
    assert crop["samples"].tolist() == [16, 32, 64]
    assert crop["PQ"].tolist() == [0.2, 0.36, 0.4]
    assert rows.loc[rows["variant"] == "full", "pixels"].isna().all()
    assert set(rows.loc[rows["variant"] == "full", "steps"]) == {8}


def test_pixels_that_were_not_logged_follow_from_the_crops(root):
    runs = [replace(run, settings={"crop": "10"}) for run in read_runs(root)]
    rows = learning_curves.curve_rows(runs)
    full = rows[(rows["variant"] == "full") & (rows["split"] == "validation")]
    assert full["pixels"].tolist() == [8 * 2 * 100, 8 * 6 * 100]
    assert rows.loc[rows["variant"] == "crop", "pixels"].max() == 800  # as logged


def test_the_last_doubling_of_finished_runs_is_the_mean_over_seeds(root, tmp_path):
    learning_curves.curve_rows(read_runs(root)).to_csv(tmp_path / LEARNING, index=False)
    assert last_doublings(tmp_path / LEARNING) == {"crop": pytest.approx((10 + 4) / 2)}  # FULL is not finished
    assert last_doublings(tmp_path / "nowhere.csv") == {}


@pytest.mark.parametrize(
    ("steps", "scores", "gain"),
    [
        ([1000, 2000], [0.3, 0.45], 0.15),
        ([2000, 1000], [0.45, 0.3], 0.15),  # in any order
        ([1000, 4000], [0.3, 0.5], 0.1),  # half of it in each of two doublings
        ([3000, 4000], [0.3, 0.5], None),  # begins too late
        ([4000], [0.5], None),
    ],
)
def test_the_last_doubling(steps, scores, gain):
    found = last_doubling(steps, scores)
    assert np.isnan(found) if gain is None else found == pytest.approx(gain)


def test_a_score_that_is_undefined_and_runs_without_pixels_are_drawn_without(root):
    rows = learning_curves.curve_rows(read_runs(root))
    figure = learning_curves.draw(rows)
    assert len(figure.axes) == len(learning_curves.DRAWN) * 3
    full = rows[rows["variant"] == "full"]
    figure = learning_curves.draw(full)
    assert len(figure.axes) == len(learning_curves.DRAWN) * 2  # no pixels
    (solid, _dots, dashed, *_) = figure.axes[0].lines
    assert (100 * full[full["split"] == "validation"]["PQ"]).tolist() == pytest.approx(solid.get_ydata().tolist())
    assert dashed.get_linestyle() == "--"


def test_runs_that_nobody_scored_have_no_rows(tmp_path):
    write_run(tmp_path / "crop", 3, {})
    assert learning_curves.curve_rows(read_runs(tmp_path)).empty
    (tmp_path / "crop" / "evaluation.jsonl").write_text("PQ: 3\n")
    with pytest.raises(InputError, match="not JSON lines"):
        read_runs(tmp_path)


def test_the_table_survives_being_written(root, tmp_path):
    rows = learning_curves.curve_rows(read_runs(root))
    rows.to_csv(tmp_path / LEARNING, index=False, float_format="%.6g")
    back = pd.read_csv(tmp_path / LEARNING)
    assert list(back.columns) == list(rows.columns)
    learning_curves.draw(back)
