"""Reliability: scores that say how often they are right have no error."""

import numpy as np
import pytest
import random_maps
from drawings import CAR, SKY, table

from panoptic_eval.metrics import panoptic_quality as pq
from panoptic_eval.metrics.metric import summed
from panoptic_eval.metrics.reliability import (
    BINS,
    ReliabilityCounts,
    are_probabilities,
    expected_error,
    reliability_counts,
)
from panoptic_eval.pairs.table import concatenate, take


def total(pairs):
    return summed(reliability_counts(pairs))


def test_a_drawing():
    # The car with 0.85 matches, the one with 0.25 does not, sky with 1 does: errors 0.15, 0.25 and 0.
    pairs = table("cccccsssssss", "cccccddsssss", c=CAR, d=CAR, s=SKY, scores={"c": 0.85, "d": 0.25, "s": 1.0})
    counts = total(pairs)
    assert counts.segments[0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 1, 1]
    assert counts.matched[0].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert expected_error(counts).tolist() == pytest.approx([(0.15 + 0.25 + 0) / 3])


def test_scores_that_are_right_as_often_as_they_say_have_no_error():
    images = [
        table("cccccs", "cccccs" if k < 3 else "sssccs", c=CAR, s=SKY, scores={"c": 0.75}, image_id=k) for k in range(4)
    ]
    cars = reliability_counts(concatenate(images))
    bin_ = int(0.75 * BINS)
    assert summed(cars).matched[0, bin_] == 3
    assert expected_error(ReliabilityCounts(*(v[:, [bin_]].sum(0, keepdims=True) for v in vars(cars).values()))) == 0


@pytest.mark.parametrize("seed", range(10))
def test_counts_are_those_of_pq_and_add(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    pairs = random_maps.table(categories, random_maps.pairs(rng, categories, images=4))
    counts, quality = reliability_counts(pairs), summed(pq.pq_counts(pairs))
    assert counts.segments.sum() == quality.tp.sum() + quality.fp.sum()
    assert counts.matched.sum() == quality.tp.sum()
    for image in range(4):
        alone = total(take(pairs, np.array([image])))
        np.testing.assert_allclose(alone.score[0], counts.score[image])


def test_without_scores_or_with_others_there_is_nothing_to_say():
    assert np.isnan(expected_error(ReliabilityCounts(*(np.zeros(BINS) for _ in range(3)))))
    assert not are_probabilities(table("cs", "cs", c=CAR, s=SKY, scores={"c": 7.0}))
    assert are_probabilities(table("cs", "cs", c=CAR, s=SKY, scores={"c": 0.0}))
