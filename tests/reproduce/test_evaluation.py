import json

import pytest
from folders import write_coco
from variant_folders import write_checkpoints, write_validation

from model.predict import main as predict
from panoptic_eval.datasets import ground_truth
from panoptic_eval.evaluation import evaluate
from reproduce import evaluation
from reproduce.evaluation import evaluate_run, first_maps
from reproduce.experiments import EVALUATION, LARGEST


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run that has kept two networks, which nobody trained, and five images."""
    root = tmp_path_factory.mktemp("evaluation")
    gt = write_validation(root / "gt", images=5)
    write_checkpoints(root / "run" / "kept", gt, {"20": 1, "10": 2})
    return root


def lines(run):
    return [json.loads(line) for line in (run / EVALUATION).read_text().splitlines()]


def test_each_kept_network_gets_the_scores_of_panoptic_eval_on_the_first_images(kept, monkeypatch):
    run = kept / "run"
    evaluation.main([str(run), "--validation", str(kept / "gt"), "--images", "3", "--device", "cpu"])
    found = lines(run)
    assert [(line["step"], line["split"], line["images"]) for line in found] == [
        (10, "validation", 3),
        (20, "validation", 3),
    ]
    out = kept / "by_hand"
    predict(["--checkpoint", str(run / "kept" / "20"), "--images", str(kept / "gt"), "--out", str(out), "--limit", "3",
             "--device", "cpu", "--quiet"])  # fmt: skip
    report = evaluate(out, first_maps(ground_truth(kept / "gt"), 3))
    assert found[1]["PQ"] == pytest.approx(report.scores["PQ"]["all"], abs=1e-12)
    assert found[1]["mAP"] == pytest.approx(report.scores["AP_mask"]["AP"], abs=1e-12)
    assert LARGEST in found[1]
    assert not list(run.rglob("predictions*"))  # what was predicted is gone

    calls = []
    monkeypatch.setattr(evaluation, "predict_all", lambda *args, **options: calls.append(args))
    parts = {"validation": first_maps(ground_truth(kept / "gt"), 3)}
    evaluate_run(run, parts, device="cpu")
    assert (calls, lines(run)) == ([], found)  # nothing is done twice


def test_killed_in_a_line_or_between_two_the_next_call_does_the_rest(kept):
    run = kept / "run"
    parts = {"validation": first_maps(ground_truth(kept / "gt"), 2)}
    evaluate_run(run, parts, device="cpu")
    whole = (run / EVALUATION).read_text()
    first, second = whole.splitlines(keepends=True)
    (run / EVALUATION).write_text(first + second[:9])
    evaluate_run(run, parts, device="cpu")
    assert (run / EVALUATION).read_text() == whole  # the same numbers, too


def test_a_network_that_changed_and_another_number_of_images_are_scored_anew(kept):
    run = kept / "run"
    evaluate_run(run, {"validation": first_maps(ground_truth(kept / "gt"), 2)}, device="cpu")
    before = lines(run)
    write_checkpoints(run / "kept", kept / "gt", {"10": 5})
    evaluate_run(run, {"validation": first_maps(ground_truth(kept / "gt"), 2)}, device="cpu")
    after = lines(run)
    assert sorted(line["step"] for line in after) == [10, 20]
    changed = {line["step"] for line in after if line not in before}
    assert changed == {10}


def test_the_first_images_of_a_listed_ground_truth_are_whole(tmp_path):
    import numpy as np
    from folders import segments

    names = [{"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}]
    maps = {f"{k}": (np.array([[1, 2], [2, 2]]), segments((1, 1), (2, 2))) for k in range(3)}
    write_coco(tmp_path / "gt.json", maps, categories=names, folder=tmp_path / "gt")
    gt = first_maps(ground_truth(tmp_path / "gt.json"), 2)
    assert len(gt.maps) == 2
    assert gt.meaning.image.tolist() == [0, 0, 1, 1]


def test_nothing_to_score_is_said(kept):
    with pytest.raises(SystemExit, match="--validation or --training"):
        evaluation.main([str(kept / "run")])
    with pytest.raises(SystemExit, match="does not exist"):
        evaluation.main([str(kept / "nowhere"), "--validation", str(kept / "gt")])
