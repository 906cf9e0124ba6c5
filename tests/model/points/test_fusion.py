from dataclasses import replace

import numpy as np
import pytest
import torch
from boxes_on_canvas import targets_of

from model.config import SelectionConfig
from model.panoptic_map import semantic_map
from model.points.fusion import Prediction, fuse
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.prediction_writer import PredictionWriter

SKY, ROAD, CAR, BUS = range(4)
ISTHING = torch.tensor([False, False, True, True])
CONFIG = SelectionConfig(mask_threshold=0.5, overlap=0.5, thing_threshold=0.3, limit=0.1, blur=3)
# Corners of cells, so that the truth can be said by cells of 4x4 pixels.
BOXES = [(0, 0, 16, 16), (20, 8, 36, 20), (44, 4, 60, 24), (8, 32, 32, 56)]
CATEGORIES = [CAR, CAR, BUS, BUS]


class Oracle:
    """A network that knows the truth of an image."""

    def __init__(self, boxes=BOXES, categories=CATEGORIES, size=(64, 60), sure=8.0):
        self.targets = targets_of(boxes, categories, size)
        self.targets.semantic[(self.targets.semantic == SKY) & (torch.arange(size[0]) > 27)[:, None]] = ROAD
        self.size, self.sure = size, sure
        cells = self.targets.semantic[1::4, 1::4].long()
        self.semantic = torch.nn.functional.one_hot(cells, 4).permute(2, 0, 1) * sure
        self.cells = self.targets.instances[1::4, 1::4].clone()
        # Between cells the corner pixel of a rectangle is its neighbors': the truth is what cells can say.
        truth = semantic_map(self.semantic, size, size)
        self.targets.semantic.copy_(truth)
        self.targets.instances[~ISTHING[truth.long()]] = -1
        self.proposals = torch.full(self.cells.shape, -20.0)
        self.asked = []

    def propose(self, rows, logit=3.0):
        """A hill in the middle of each of some instances, higher for each one."""
        for k, row in enumerate(rows):
            y, x = (self.cells == row).nonzero().float().mean(0).round().long().tolist()
            self.proposals[y - 1 : y + 2, x - 1 : x + 2] = 0.0
            self.proposals[y, x] = logit + k
        return self

    def mask_logits(self, row, column):
        self.asked.append((row, column))
        own = self.cells == self.targets.instances[row, column]
        return torch.where(own, 20.0, -20.0)  # surer than the semantics: else a mask wins where it is not

    def fused(self, size=None, config=CONFIG):
        prediction = Prediction(self.semantic, self.proposals, torch.zeros(1, *self.cells.shape))
        return fuse(prediction, self.mask_logits, ISTHING, self.size, size or self.size, config)


def categories_of(panoptic):
    of = torch.tensor([255] + [s.category for s in panoptic.segments])
    return of[panoptic.ids.long()]


def test_true_masks_and_a_candidate_in_each_instance_give_the_truth():
    oracle = Oracle().propose(range(4))
    found = oracle.fused()
    assert torch.equal(categories_of(found.panoptic), oracle.targets.semantic.long())
    for row in range(4):
        own = found.panoptic.ids[oracle.targets.instances == row].unique().tolist()
        assert len(own) == 1
        assert int((found.panoptic.ids == own[0]).sum()) == int((oracle.targets.instances == row).sum())
    assert sorted(s.category for s in found.panoptic.segments) == [SKY, ROAD, CAR, CAR, BUS, BUS]
    assert len(oracle.asked) == 4
    assert torch.equal(found.semantic.long(), oracle.targets.semantic.long())


def test_instances_without_a_candidate_are_void():
    oracle = Oracle().propose([1, 2])
    found = oracle.fused()
    missed = (oracle.targets.instances == 0) | (oracle.targets.instances == 3)
    assert torch.equal(found.panoptic.ids == 0, missed)
    assert [s.category for s in found.panoptic.segments if s.score is not None] == [BUS, CAR]  # 2 promises more


def test_scores_are_what_the_point_promised_times_the_mean_probability():
    oracle = Oracle(sure=2.0).propose([0, 2])
    found = oracle.fused()
    peaks = torch.tensor([3.0, 4.0])
    instances = list(found.instances)
    assert [i.category for i in instances] == [BUS, CAR]
    assert instances[0].score > instances[1].score
    probability = torch.softmax(torch.tensor([0.0, 0.0, 2.0, 0.0]), 0)[2]
    for one, peak in zip(instances, peaks.flip(0), strict=True):
        assert 0.7 * peak.sigmoid() * probability < one.score < peak.sigmoid() * probability
    segments = {s.category: s.score for s in found.panoptic.segments if s.score is not None}
    assert segments == {i.category: i.score for i in instances}


def test_instances_are_whole_masks_best_first():
    oracle = Oracle().propose([3, 0])
    found = list(oracle.fused().instances)
    assert [i.box for i in found] == [(0, 0, 16, 16), (8, 32, 32, 56)]  # the second hill is the higher one
    for one, row in zip(found, (0, 3), strict=True):
        (top, left), (height, width) = one.corner, one.mask.shape
        whole = torch.zeros(oracle.size, dtype=torch.bool)
        whole[top : top + height, left : left + width] = one.mask
        assert torch.equal(whole, oracle.targets.instances == row)


@pytest.mark.parametrize("times", [2, 3])
def test_a_larger_map_is_the_same_scene(times):
    small, large = (Oracle().propose(range(4)).fused(size) for size in (None, (64 * times, 60 * times)))
    assert large.panoptic.ids.shape == large.semantic.shape == (64 * times, 60 * times)
    assert [s.category for s in large.panoptic.segments] == [s.category for s in small.panoptic.segments]
    again = large.panoptic.ids[times // 2 :: times, times // 2 :: times]
    assert (again == small.panoptic.ids).float().mean() > 0.98  # borders lie between pixels
    for a, b in zip(small.instances, large.instances, strict=True):
        assert np.array(b.box) == pytest.approx(times * np.array(a.box), abs=times)


def test_of_equally_good_candidates_the_left_one_is_asked_first_and_the_better_is_the_first_instance():
    oracle = Oracle().propose([1], logit=3.0).propose([2], logit=3.05)
    found = oracle.fused()
    assert [oracle.targets.instances[point].item() for point in oracle.asked] == [1, 2]
    assert [i.box for i in found.instances] == [(44, 4, 60, 24), (20, 8, 36, 20)]


def test_small_masks_are_dropped_by_their_area_in_the_frame():
    for times, least, kept in ((1, 252, 2), (1, 256, 1), (2, 245, 2), (2, 260, 1)):
        config = replace(CONFIG, least_area=least)  # instance 0 has a few pixels less than 256, by its corners
        found = Oracle().propose([0, 3]).fused((64 * times, 60 * times), config)
        assert len(list(found.instances)) == kept, (times, least)


def test_small_stuff_is_void_and_areas_are_those_of_the_frame():
    boxes = [(0, 4, 60, 40), (0, 40, 60, 64)]
    sky = 4 * 60
    for times, least, left in ((1, sky, True), (1, sky + 1, False), (2, sky, True), (2, sky + 1, False)):
        oracle = Oracle(boxes, [CAR, BUS]).propose([0, 1])
        found = oracle.fused((64 * times, 60 * times), replace(CONFIG, stuff_area=least))
        stuff = [s.category for s in found.panoptic.segments if s.score is None]
        assert stuff == [SKY] * left


def test_an_untrained_networks_map_is_valid_and_can_be_written(tmp_path):
    generator = torch.Generator().manual_seed(0)
    prediction = Prediction(
        torch.randn(4, 16, 15, generator=generator), torch.randn(16, 15, generator=generator), torch.zeros(1, 16, 15)
    )
    planes = torch.randn(64, 16, 15, generator=generator)

    def made():
        return fuse(prediction, lambda y, x: planes[y % 8 * 8 + x % 8], ISTHING, (61, 57), (61, 57), CONFIG)

    found = made()
    segments, ids = found.panoptic.segments, found.panoptic.ids
    assert [s.id for s in segments] == list(range(1, len(segments) + 1))
    areas = torch.bincount(ids.flatten(), minlength=len(segments) + 1)[1:].tolist()
    assert [s.area for s in segments] == areas
    assert min(areas) > 0
    assert sum(s.score is not None for s in segments) > 1
    assert torch.equal(found.semantic, semantic_map(prediction.semantic_logits, (61, 57), (61, 57)))
    again = made()
    assert torch.equal(again.panoptic.ids, ids)
    assert again.panoptic.segments == segments
    catalogue = Catalogue(tuple(Category(k, str(k), bool(thing)) for k, thing in enumerate(ISTHING)))
    with PredictionWriter(tmp_path, catalogue) as writer:
        rows = [
            {"id": s.id, "category_id": s.category} | ({} if s.score is None else {"score": s.score}) for s in segments
        ]
        writer.write("a", ids.numpy(), rows)


def test_a_mask_that_is_nowhere_more_likely_than_the_background_is_no_segment():
    """Its pixels are above the threshold, but the semantic head is surer that there is no thing."""
    oracle = Oracle().propose([0, 3])
    # Sky has a probability of 0.65, the car 0.35: enough to be asked for, and less than its mask's.
    oracle.semantic[:, oracle.cells == 0] = torch.tensor([1.0, -20, 0.4, -20])[:, None]
    unsure = torch.where(oracle.cells == 0, 0.2, -20.0)

    def mask_logits(row, column):
        return unsure if oracle.targets.instances[row, column] == 0 else oracle.mask_logits(row, column)

    prediction = Prediction(oracle.semantic, oracle.proposals, torch.zeros(1, *oracle.cells.shape))
    found = fuse(prediction, mask_logits, ISTHING, oracle.size, oracle.size, CONFIG)
    assert [(s.id, s.category) for s in found.panoptic.segments if s.score is not None] == [(1, BUS)]
    assert len(list(found.instances)) == 2  # before fusion, it is one


def test_masks_are_asked_for_one_at_a_time_and_not_kept():
    """Of a large image no two would fit: all but the last are gone when the next one is asked for."""
    import weakref

    oracle, alive = Oracle().propose(range(4)), []

    def once(row, column):
        assert not [mask for mask in alive if mask() is not None]
        mask = Oracle.mask_logits(oracle, row, column)
        alive.append(weakref.ref(mask))
        return mask

    prediction = Prediction(oracle.semantic, oracle.proposals, torch.zeros(1, *oracle.cells.shape))
    fuse(prediction, once, ISTHING, oracle.size, oracle.size, CONFIG)
    assert len(alive) == 4
