"""Costs by size: they add up to 1 - PQ of things, and lie where the objects are."""

import numpy as np
import pytest
import random_maps
from drawings import CAR, SKY, table

from panoptic_eval.metrics import panoptic_quality as pq
from panoptic_eval.metrics.cost_by_size import cost_of_bins, size_costs
from panoptic_eval.metrics.metric import mean, summed
from panoptic_eval.metrics.sizes import area_edges


@pytest.mark.parametrize("seed", range(20))
def test_bins_add_up_to_what_things_lack(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    pairs = random_maps.table(categories, random_maps.pairs(rng, categories, images=5))
    edges = area_edges(pairs, (0, 30, 60, 100))
    if np.isnan(edges).any():
        edges = np.array([0.0, 5, 50])
    things = categories.isthing
    weights = np.concatenate([np.ones((1, 5)), rng.multinomial(5, [0.2] * 5, size=4)])
    quality = pq.panoptic_quality(summed(pq.pq_counts(pairs), weights[1:]))
    lost = cost_of_bins(size_costs(pairs, edges), weights).sum(1)
    np.testing.assert_allclose(lost, 1 - mean(quality[:, things]), atol=1e-12)


def test_a_miss_costs_in_the_bin_of_its_area_and_a_false_positive_in_that_of_its_own():
    # One car of four pixels is found exactly, one of eight is missed, and one of two is invented.
    pairs = table("ccccsddddddddssss", "ccccssssssssseess", c=CAR, d=CAR, e=CAR, s=SKY)
    lost = cost_of_bins(size_costs(pairs, np.array([2.0, 3, 6, 8])), np.ones((1, 1)))
    np.testing.assert_allclose(lost, [[0.25, 0, 0.25]])  # D = 1 + 1/2 + 1/2


def test_areas_beyond_the_edges_are_in_the_outer_bins():
    pairs = table("ccccs", "sssss", c=CAR, s=SKY)
    np.testing.assert_allclose(cost_of_bins(size_costs(pairs, np.array([5.0, 6, 7])), np.ones((1, 1))), [[1, 0]])


def test_without_things_costs_are_undefined():
    pairs = table("sss", "sss", s=SKY)
    assert np.isnan(cost_of_bins(size_costs(pairs, np.array([0.0, 1, 2])), np.ones((1, 1)))).all()
