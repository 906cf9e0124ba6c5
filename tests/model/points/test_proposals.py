from pathlib import Path

import pytest
import torch

from model.points.proposals import UNKNOWN, mask_ious, moved_threshold, proposal_labels, proposal_losses
from tests.support import golden_baselines

TRUTH = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0]).reshape(1, 1, 2, 4)


def drawn(*covered: int) -> torch.Tensor:
    """One object, a mask for each point, which covers so many of its four pixels."""
    masks = [torch.arange(8).reshape(2, 4) < n for n in covered]
    return torch.stack(masks)[None].float()


@pytest.mark.parametrize("file", golden_baselines.cases("adaptis_proposal_labels"))
def test_as_the_authors_code(file: Path) -> None:
    case = {k: torch.from_numpy(v) for k, v in golden_baselines.read(file).items()}
    probabilities, truth = torch.sigmoid(case["mask_logits"]), case["gt"]
    after = moved_threshold(probabilities, truth, float(case["threshold_before"]))
    assert after == pytest.approx(float(case["threshold_after"]), abs=1e-6)
    labels = proposal_labels(probabilities, truth, after, float(case["bad_percentile"]))
    torch.testing.assert_close(labels, case["labels"], rtol=1e-5, atol=1e-5)
    losses = proposal_losses(case["logits"], labels)
    torch.testing.assert_close(losses, case["loss"].reshape(losses.shape), rtol=1e-5, atol=1e-5)


def test_labels_by_hand() -> None:
    # IoU and mean probability are both 1/4, 2/4, 3/4, 1: goodness is the square; the 30th percentile keeps three.
    labels = proposal_labels(drawn(1, 2, 3, 4), TRUTH.expand(1, 4, 2, 4), 0.5)[0]
    assert labels.tolist() == pytest.approx([0, 0.7, 0.7 + 0.3 * (9 - 4) / (16 - 4), 1])


def test_equal_points_are_all_best() -> None:
    assert proposal_labels(drawn(2, 2), TRUTH.expand(1, 2, 2, 4), 0.5).tolist() == [[1, 1]]


def test_other_objects_do_not_matter() -> None:
    probabilities = torch.cat([drawn(1, 2, 4), drawn(3, 3, 1)])
    truth = TRUTH.expand(2, 3, 2, 4)
    both = proposal_labels(probabilities, truth, 0.5)
    assert torch.equal(both[:1], proposal_labels(probabilities[:1], truth[:1], 0.5))


def test_objects_missed_or_unknown_do_not_count() -> None:
    assert proposal_labels(drawn(0, 0), TRUTH.expand(1, 2, 2, 4), 0.5).unique().tolist() == [UNKNOWN]
    assert proposal_labels(drawn(8, 3), torch.full((1, 2, 2, 4), -1), 0.5).unique().tolist() == [UNKNOWN]
    assert proposal_labels(torch.zeros(0, 3, 2, 4), torch.zeros(0, 3, 2, 4), 0.5).shape == (0, 3)


def test_unknown_pixels_are_not_counted() -> None:
    truth = torch.where(TRUTH == 1, 1, -1)
    assert mask_ious(drawn(8), truth, 0.5).tolist() == [[1]]


def test_threshold_goes_where_masks_are_better() -> None:
    # Outside, the masks have probability 0.51: too low a threshold takes it in.
    probabilities = torch.where(TRUTH == 1, 0.9, 0.51)
    assert moved_threshold(probabilities, TRUTH, 0.5) == pytest.approx(0.50025)
    assert moved_threshold(probabilities, TRUTH, 0.6) == pytest.approx(0.6)
