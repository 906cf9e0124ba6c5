"""Real inputs, with the numbers that the tools which users trust gave for them."""

import json

import golden
import numpy as np
import pytest

from panoptic_eval import coco_ap, evaluate
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.coco_instances import instance_precision, instance_table
from panoptic_eval.counting import count
from panoptic_eval.metrics.metric import summed
from panoptic_eval.metrics.panoptic_quality import panoptic_quality, pq_counts
from panoptic_eval.metrics.parsing_covering import parsing_covering, pc_counts
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score

exactly = {"abs": 1e-9, "nan_ok": True}
PHOTOGRAPHS = {
    "coco": ("panopticapi", "pred.json", "gt.json", ("expected", "prediction")),
    "coco against itself": ("panopticapi", "gt.json", "gt.json", ("expected", "ground_truth_against_itself")),
    "team": ("deeplab2", "coco/pred.json", "coco/gt.json", ("expected", "coco_panoptic_conversion")),
}


@pytest.fixture(params=PHOTOGRAPHS)
def photograph(request):
    """The tables of one photograph, and what is expected of them."""
    name, pred, gt, keys = PHOTOGRAPHS[request.param]
    numbers = golden.expected(name)
    for key in keys:
        numbers = numbers[key]
    return count(golden.folder(name) / pred, golden.folder(name) / gt), numbers


def close(ours, theirs):
    """Equal to 1e-9, where None, -1 and an error of theirs say that a number is undefined."""
    undefined = theirs is None or theirs == -1
    return ours == pytest.approx(np.nan if undefined else theirs, **exactly)


def adds_up(report):
    """The account of a report, and its matrix of pixels, add up to 1 - PQ to the last digits."""
    assert sum(row["cost"] for row in report.pixel_flow) == pytest.approx(1 - report.scores["PQ"]["all"], abs=1e-12)
    for group, parts in report.account.items():
        assert sum(parts.values()) == pytest.approx(1 - report.scores["PQ"][group], abs=1e-12, nan_ok=True)


def test_panoptic_quality(photograph):
    tables, numbers = photograph
    report = score(tables)
    adds_up(report)
    for group in ("All", "Things", "Stuff"):
        theirs = numbers["panopticapi"][group]
        for name in ("pq", "sq", "rq"):
            key = {"All": "all", "Things": "things", "Stuff": "stuff"}[group]
            assert close(report.scores[name.upper()][key], theirs.get(name))
    for row in report.categories:
        theirs = numbers["panopticapi"]["per_class"][str(row["id"])]
        assert close(row["iou_sum"], theirs["iou_sum"])
        assert [row[k] for k in ("TP", "FP", "FN")] == [theirs[k] for k in ("tp", "fp", "fn")]


def test_dagger_covering_and_mean_iou(photograph):
    tables, numbers = photograph
    for weight, key in (("image", "normalize_by_image_size_true"), ("pixels", "normalize_by_image_size_false")):
        report = score(tables, Rules(pc_weight=weight))
        covering = numbers["parsing_covering"][key]
        for group in ("All", "Things", "Stuff"):
            ours = {name: report.scores[name][group.lower()] for name in ("PC", "PQ_dagger", "mIoU")}
            theirs = covering[group]
            assert close(ours["PC"], theirs["pc"] if theirs["n"] else None)
            assert close(ours["PQ_dagger"], numbers["pq_dagger"][group])
            assert close(ours["mIoU"], numbers["miou"]["mIoU" if group == "All" else group])
        for row in report.categories:
            assert close(row["PC"], covering["per_class"][str(row["id"])]["covering"])
            assert close(row["PQ_dagger"], numbers["pq_dagger"]["per_class"][str(row["id"])])
            assert close(row["mIoU"], numbers["miou"]["per_class"][str(row["id"])])


@pytest.mark.parametrize(("kind", "theirs"), [("AP_mask", "segm"), ("AP_box", "bbox")])
def test_average_precision(photograph, kind, theirs):
    tables, numbers = photograph
    edges = numbers["ap"]["custom_ranges"]["areaRng"]
    report = score(tables, Rules(percentiles=(0, 25, 50, 75, 100)))
    coco = numbers["ap"]["coco_ranges"][theirs]
    for key, value in zip(("AP", "APs", "APm", "APl"), coco["per_range_ap"], strict=True):
        assert close(report.scores[kind][key], value)
    assert close(report.scores[kind]["AP50"], coco["per_range_ap50"][0])
    for row in report.categories:
        if row["isthing"]:
            assert close(row[kind], coco["per_class_ap"][str(row["id"])][0])
    sizes = numbers["ap"]["custom_ranges"]["segm" if kind == "AP_mask" else "bbox_with_dt_mask_area"]
    for row, (low, high), value in zip(report.size_percentiles, edges[1:], sizes["per_range_ap"][1:], strict=True):
        assert (row["from_area"], row["to_area"]) == pytest.approx((low, high))
        assert close(row[kind], value)


def test_order_decides_between_equal_scores(tmp_path):
    """deeplab2's photograph, all scores 1: AP in three orders of the segments."""
    case = golden.folder("deeplab2") / "coco"
    orders = golden.expected("deeplab2")["expected"]["ap_tie_order"]
    assert orders
    pred = json.loads((case / "pred.json").read_text())
    raster = json.loads((case / "coco_dt_raster_order.json").read_text())
    position = {d["panoptic_segment_id"]: k for k, d in enumerate(raster)}
    pred["annotations"][0]["segments_info"].sort(key=lambda s: position[s["id"]])
    (tmp_path / "pred.json").write_text(json.dumps(pred))
    (tmp_path / "pred").symlink_to((case / "pred").resolve())
    report = evaluate(tmp_path / "pred.json", case / "gt.json")
    assert report.scores["AP_mask"]["AP"] == pytest.approx(0.2549, abs=5e-5)
    assert report.scores["AP_mask"]["AP50"] == pytest.approx(0.9356, abs=5e-5)


BOXES = [
    ("coco_fake100", "instances_val2014_100.json", "instances_val2014_fakebbox100_results.json", "stats12"),
    ("coco_ignore", "gt.json", "dt.json", "stats12_all_results"),
    ("hotcoco", "gt.json", "dt.json", "stats12"),
]


@pytest.mark.parametrize(("name", "gt", "results", "key"), BOXES, ids=[b[0] for b in BOXES])
def test_boxes_of_coco_results(name, gt, results, key):
    numbers = golden.expected(name)
    stats = (numbers["expected"] if "expected" in numbers else numbers["cases"][0]["expected"])[key]
    folder = golden.folder(name)
    ours = coco_ap(folder / gt, folder / results, kind="box")
    assert all(close(a, b) for a, b in zip(ours.values(), stats[:6], strict=True))


def test_own_ranges_of_area():
    name, gt, results, _ = BOXES[0]
    numbers = golden.expected(name)["expected"]["custom_area_ranges"]
    table = instance_table(golden.folder(name) / gt, golden.folder(name) / results, kind="box")
    precision = instance_precision(table, [tuple(r) for r in numbers["areaRng"]], kind="box")
    assert [precision.mean(k) for k in range(len(numbers["ap"]))] == pytest.approx(numbers["ap"], **exactly)


def cases(name):
    """Names of a file's cases; none where the file is missing, which another test then says."""
    path = golden.ROOT / name / "EXPECTED.json"
    return [c["name"] for c in json.loads(path.read_text())["cases"]] if path.exists() else []


def case(name, which):
    return next(c for c in golden.expected(name)["cases"] if c["name"] == which)


def table_of(catalogue, gt, pred, image_id):
    """The table of two images of (category, instance) a pixel; categories out of the catalogue are void."""
    sides = []
    for category, instance in (gt, pred):
        known = np.isin(category, catalogue.ids)
        labels = np.where(known, category * 1000 + instance + 1, 0)
        segments = [{"id": int(i), "category_id": int(i - 1) // 1000} for i in np.unique(labels) if i]
        sides += [labels, segments]
    return pair_table(catalogue, *sides, image_id=image_id)


@pytest.mark.parametrize("which", cases("torchmetrics"))
def test_torchmetrics(which):
    data = case("torchmetrics", which)
    categories = [Category(i, str(i), True) for i in data["things"]] + [
        Category(i, str(i), False) for i in data["stuffs"]
    ]
    catalogue = Catalogue(tuple(categories))
    sides = []
    for side in ("target", "pred"):
        pixels = np.array(data[side])
        stuff = np.isin(pixels[..., 0], data["stuffs"])
        sides.append((pixels[..., 0], np.where(stuff, 0, pixels[..., 1])))  # it ignores stuff's instance numbers
    table = table_of(catalogue, *sides, 0)
    report = score(Tables(table))
    adds_up(report)
    ours = [report.scores[name]["all"] for name in ("PQ", "SQ", "RQ", "PQ_dagger")]
    theirs = [data["expected"][name] for name in ("pq", "sq", "rq", "modified_pq")]
    assert ours == pytest.approx(theirs, abs=1e-6)  # float32
    for row in report.categories:
        if row["TP"] + row["FP"] + row["FN"]:
            theirs = data["expected"]["per_class_pq_sq_rq"][str(row["id"])]
            assert [row[k] for k in ("PQ", "SQ", "RQ")] == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("which", cases("tensorflow_models_deeplab"))
def test_tensorflow_deeplab(which):
    data = case("tensorflow_models_deeplab", which)
    ignored, total = data["parameters"]["ignored_label"], data["parameters"]["num_categories"]
    ids = [i for i in range(total) if i != ignored]
    catalogue = Catalogue(tuple(Category(i, str(i), True) for i in ids))
    tables = [
        table_of(
            catalogue,
            (np.array(image["gt_category"]), np.array(image["gt_instance"])),
            (np.array(image["pred_category"]), np.array(image["pred_instance"])),
            k,
        )
        for k, image in enumerate(data["images"])
    ]
    table, theirs = concatenate(tables), data["expected"]
    adds_up(score(Tables(table)))
    if data["metric"] == "panoptic_quality":
        counts = summed(pq_counts(table))
        for ours, key in ((counts.iou, "iou_per_class"), (counts.tp, "tp"), (counts.fn, "fn"), (counts.fp, "fp")):
            assert ours[0].tolist() == pytest.approx([theirs[key][i] for i in ids], **exactly)
        assert np.nanmean(panoptic_quality(counts)) == pytest.approx(theirs["pq"], **exactly)
    else:
        by_size = data["parameters"]["normalize_by_image_size"]
        counts = summed(pc_counts(table, Rules(pc_weight="image" if by_size else "pixels")))
        assert counts.covered[0].tolist() == pytest.approx(
            [theirs["weighted_iou_per_class"][i] for i in ids], **exactly
        )
        assert counts.weight[0].tolist() == pytest.approx([theirs["gt_area_per_class"][i] for i in ids], **exactly)
        assert np.nanmean(parsing_covering(counts)) == pytest.approx(theirs["pc"], **exactly)
