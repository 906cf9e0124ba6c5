from pathlib import Path

import folders
import numpy as np
import png
import pytest
from folders import CAR, PERSON, SKY
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco

from panoptic_eval import evaluate
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps, Listed
from panoptic_eval.pairs import count_pair
from panoptic_eval.pairs.journal import Journal
from panoptic_eval.pairs.palette import decode, decode_listed, lookup, renamed
from panoptic_eval.pairs.reference import count_labels

CATALOGUE = Catalogue((Category(CAR, "car", True), Category(SKY, "sky", False)))
IDS = np.array([[1, 1, 2, 3], [0, 2, 2, 3]])
SEGMENTS = folders.segments((1, CAR), (2, SKY), (3, PERSON))


def rgb(*ids):
    return b"".join(bytes([i & 255, i >> 8 & 255, i >> 16 & 255]) for i in ids)


def with_palette(indices, *colors, **how):
    """A PNG of palette indices."""
    before = png.chunk(b"PLTE", rgb(*colors))
    return png.write(np.asarray(indices)[..., None], color_type=png.PALETTE, before=before, **how)


def optimized(ids, order):
    """The picture of ids with a palette of its colors, in an order."""
    at = {id_: k for k, id_ in enumerate(order)}
    return with_palette(np.vectorize(at.get)(ids), *order)


def listed(*ids):
    n = len(ids)
    meaning = Listed(
        np.zeros(n, int), np.array(ids, int), np.zeros(n, int), np.zeros(n, bool), np.full(n, np.nan), np.full(n, -1)
    )
    return LabelMaps("", CATALOGUE, (LabelMap(1, Path("1.png")),), meaning)


def encoded(*categories, layout="divided"):
    """Ids that are categories, of which these exist and 0 is void."""
    table = np.full(max(categories) + 1, -2)
    table[list(categories)], table[0] = 0, -1
    return LabelMaps("", CATALOGUE, (LabelMap(1, Path("1.png")),), Encoded(layout, 1000, True, table, False))


@pytest.mark.parametrize("ids", [IDS, IDS * 70_000, IDS + 255])
@pytest.mark.parametrize("order", [(2, 3, 1, 0), (0, 1, 2, 3), (3, 0, 2, 1)])
@pytest.mark.parametrize("side", ["gt", "pred"])
def test_a_picture_stored_with_a_palette_scores_as_before(tmp_path, ids, order, side):
    values = np.unique(ids)
    info = folders.segments(*zip(values[values > 0].tolist(), [CAR, SKY, PERSON, CAR], strict=False))
    gt = folders.write_coco(tmp_path / "gt.json", {7: (ids, info)})
    pred = folders.write_coco(tmp_path / "pred.json", {7: (np.roll(ids, 1, 1), info)})
    scores = evaluate(pred, gt).scores
    file = tmp_path / side / "000000000007.png"
    labels = ids if side == "gt" else np.roll(ids, 1, 1)
    file.write_bytes(optimized(labels, [int(values[k]) for k in order]))
    again = evaluate(pred, gt).scores
    assert str(again) == str(scores)


def test_a_palette_whose_indices_are_listed_and_whose_colors_are_for_people_is_read_by_index(tmp_path):
    gt = folders.write_coco(tmp_path / "gt.json", {7: (IDS, SEGMENTS)})
    expected = evaluate(gt, gt).scores
    (tmp_path / "gt" / "000000000007.png").write_bytes(with_palette(IDS, 0, 0x8E0000, 0xB48246, 0x3C14DC))
    assert str(evaluate(gt, gt).scores) == str(expected)


def test_a_gray_picture_stored_with_a_palette_keeps_its_gray_values():
    file = with_palette([[0, 1, 2]], 0x050505, 0, 0x070707)
    assert decode(listed(5, 7), 0, file).tolist() == [[5, 0, 7]]
    assert decode(encoded(5, 7), 0, file).tolist() == [[5, 0, 7]]


def test_an_image_that_both_readings_fit_is_a_fault():
    by_index_too = with_palette([[1, 2, 3]], 0, 1, 2, 0)
    with pytest.raises(PngError, match=r"palette of which the colors and the indices may be the ids.*; expected"):
        decode(listed(1, 2, 3), 0, by_index_too)
    gray = with_palette([[0, 1, 2]], 0x050505, 0, 0x070707)
    with pytest.raises(PngError, match="the gray values and the indices"):
        decode(encoded(1, 2, 5, 7), 0, gray)
    two_channel = with_palette([[0, 1, 2]], 0, 0x0105, 0x0207)
    with pytest.raises(PngError, match="the colors and the indices"):
        decode(encoded(1, 2, 5, 7), 0, two_channel)
    assert decode(encoded(1, 2, 5, 7, layout="channels"), 0, two_channel).tolist() == [[0, 0x0105, 0x0207]]


def test_the_fault_names_the_file(tmp_path):
    gt = folders.write_coco(tmp_path / "gt.json", {7: ([[1, 2, 3]], SEGMENTS)})
    file = tmp_path / "gt" / "000000000007.png"
    file.write_bytes(with_palette([[1, 2, 3]], 0, 1, 2, 0))
    with pytest.raises(InputError, match=r"PNGs have a palette.*000000000007\.png"):
        evaluate(gt, gt)


def test_labels_of_a_data_set_with_a_palette_are_read_by_index():
    """Mapillary's: 66 colors for people, of which an image uses some; by chance all of them gray."""
    colors = [k * 0x010101 for k in range(66)][::-1]
    assert decode(encoded(*range(1, 66)), 0, with_palette([[3, 9]], *colors)).tolist() == [[3, 9]]


def test_indices_that_the_palette_does_not_have_are_no_colors():
    assert decode(listed(1, 200), 0, with_palette([[1, 200]], 0, 1)).tolist() == [[1, 200]]


def test_pixels_without_a_color_among_others_with_one_are_a_fault():
    with pytest.raises(PngError, match="index 200 has no color and its pixels no id"):
        decode(listed(9, 8), 0, with_palette([[0, 1, 200]], 9, 8))


def test_two_indices_of_one_color_become_one_segment():
    counts = count_pair(with_palette([[0, 1, 2, 1]], 9, 9, 5), with_palette([[0, 0, 1, 2]], 4, 4, 4))
    names = (
        lookup(listed(5, 9), 0, counts.gt.id, counts.gt.palette),
        lookup(listed(4), 0, counts.pred.id, counts.pred.palette),
    )
    found = renamed(counts, *names)
    expected = count_labels(np.array([[9, 9, 5, 9]], np.uint32), np.array([[4, 4, 4, 4]], np.uint32))
    assert_equal(found, expected)


def assert_equal(found, expected):
    for part in ("gt", "pred", "pairs"):
        for name, values in vars(getattr(expected, part)).items():
            np.testing.assert_array_equal(getattr(getattr(found, part), name), values)


maps = arrays(np.uint32, (3, 4), elements=st.sampled_from([0, 1, 2, 256, 65_537, 2**24 - 1]))


@given(maps, maps, st.randoms(use_true_random=False), st.booleans())
def test_counts_are_those_of_the_picture(gt, pred, random, both):
    def stored(ids):
        order = np.unique(ids).tolist()
        random.shuffle(order)
        return optimized(ids, order)

    expected = count_labels(gt, pred)
    other = stored(pred) if both else png.write(png.samples(pred.astype(int), png.RGB))
    counts = count_pair(stored(gt), other)
    names = (
        lookup(listed(*np.unique(m[m > 0])), 0, c.id, c.palette) for m, c in ((gt, counts.gt), (pred, counts.pred))
    )
    assert_equal(renamed(counts, *names), expected)


def test_a_palette_survives_an_interrupted_run(tmp_path):
    counts = count_pair(with_palette([[1, 0]], 9, 4), png.write(png.samples(IDS[:1, :2], png.RGB)))
    with Journal(tmp_path / "j") as journal:
        journal.add("one", "abc", counts)
    with Journal(tmp_path / "j") as journal:
        kept, _ = journal.counts("one")
    assert kept.gt.palette.tolist() == [9, 4]
    assert kept.pred.palette is None


@pytest.mark.parametrize("size", [0, 4, 3 * 257])
def test_a_damaged_palette_is_said(size):
    file = png.write(np.zeros((1, 1, 1), int), color_type=png.PALETTE, before=png.chunk(b"PLTE", bytes(size)))
    with pytest.raises(PngError, match=f"has a palette of {size} bytes; expected three"):
        count_pair(file, file)


def test_a_panoptic_png_saved_by_pillow_with_a_palette(tmp_path):
    image = Image.fromarray(IDS.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0])
    image.save(tmp_path / "a.png")
    assert decode(listed(1, 2, 3), 0, (tmp_path / "a.png").read_bytes()).tolist() == IDS.tolist()


def test_training_learns_from_the_same_segments(tmp_path):
    pytest.importorskip("torch")
    from model.data.crops import cut_labels
    from model.data.index import build_index
    from model.data.sampling import CropRequest

    folders.write_coco(tmp_path / "annotations" / "panoptic_val2017.json", {7: (IDS, SEGMENTS)})
    gt = ground_truth(tmp_path)
    request = CropRequest(0, 0, 0, 2, None, 1.0, False, 0.5, (0.5, 0.5))
    plain = build_index(gt)
    _, labels = cut_labels(gt, plain, request, crop=None)
    gt.maps[0].png.write_bytes(optimized(IDS, (2, 3, 1, 0)))
    index = build_index(gt)
    _, again = cut_labels(gt, index, request, crop=None)
    assert index.fingerprint == plain.fingerprint
    assert again.targets.semantic.tolist() == labels.targets.semantic.tolist()
    assert again.targets.instances.tolist() == labels.targets.instances.tolist()


def test_masks_of_detections_overlap_the_same_segments(tmp_path):
    """Also where an image's counts were kept by an interrupted run."""
    gt = folders.write_coco(tmp_path / "gt.json", {7: (IDS, SEGMENTS)})
    pred = folders.write_coco(tmp_path / "pred" / "panoptic.json", {7: (IDS, SEGMENTS)})
    mask = coco.encode(np.asfortranarray(IDS == 3, np.uint8))
    mask["counts"] = mask["counts"].decode()
    row = {"image_id": 7, "category_id": PERSON, "score": 0.5, "segmentation": mask}
    folders.write_json(tmp_path / "pred" / "instances.json", [row])
    scores = evaluate(pred, gt).scores
    assert scores["AP_mask_instances"]["AP"] == pytest.approx(0.5)
    (tmp_path / "gt" / "000000000007.png").write_bytes(optimized(IDS, (2, 3, 1, 0)))
    assert str(evaluate(pred, gt).scores) == str(scores)


def test_pictures_show_the_same_segments():
    assert decode_listed(np.array([1, 2, 3]), optimized(IDS, (2, 3, 1, 0))).tolist() == IDS.tolist()
    assert (
        decode_listed(np.array([1, 2, 3]), with_palette(IDS, 0, 0x8E0000, 0xB48246, 0x3C14DC)).tolist() == IDS.tolist()
    )
    assert decode_listed(np.array([9]), png.write(png.samples(IDS, png.RGB))).tolist() == IDS.tolist()
    assert decode_listed(np.empty(0, int), with_palette([[0, 0]], 0)).tolist() == [[0, 0]]
