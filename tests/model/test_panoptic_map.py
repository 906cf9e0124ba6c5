import pytest
import torch

from model import panoptic_map
from model.panoptic_map import largest, logits_at, resized, semantic_map

FRAME = (157, 93)
"""Of 40 x 24 cells, the last ones partly beyond."""


def blocks(side, generator):
    """Logits of five categories that are certain of blocks of cells."""
    of_block = torch.randint(0, 5, (40 // side + 1, 24 // side + 1), generator=generator)
    category = of_block.repeat_interleave(side, 0).repeat_interleave(side, 1)[:40, :24]
    return torch.randn(5, 40, 24, generator=generator).scatter_add(0, category[None], torch.full((1, 40, 24), 5.0))


def everywhere(logits, size):
    return resized(logits, FRAME, size, (slice(None), slice(None)))


def test_the_semantic_map_is_that_of_resized_logits():
    logits = torch.randn(5, 40, 24, generator=torch.Generator().manual_seed(0))
    full = torch.nn.functional.interpolate(logits[None], scale_factor=4, mode="bilinear")[0, :, :157, :93]
    got = semantic_map(logits, FRAME, FRAME)
    assert (got == full.argmax(0)).float().mean() > 0.9999  # rounding may decide a tie
    assert got.dtype == torch.uint8


@pytest.mark.parametrize("side", [1, 2, 7])
@pytest.mark.parametrize("size", [FRAME, (333, 200), (60, 41), (1, 1)])
@pytest.mark.parametrize("together", [100, 1 << 15])
def test_the_largest_logit_is_that_of_all_of_them(side, size, together, monkeypatch):
    monkeypatch.setattr(panoptic_map, "TOGETHER", together)
    logits = blocks(side, torch.Generator().manual_seed(side))
    values, indices = largest(logits, FRAME, size)
    expected = everywhere(logits, size).max(0)
    assert torch.equal(indices, expected.indices.to(torch.uint8))
    torch.testing.assert_close(values, expected.values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [FRAME, (333, 200)])
def test_logits_of_some_pixels_are_those_of_all_there(size):
    generator = torch.Generator().manual_seed(0)
    logits, wanted = torch.randn(5, 40, 24, generator=generator), torch.rand(size, generator=generator) < 0.3
    got = torch.full((5, *size), torch.nan)
    for rows, columns, own in logits_at(logits, FRAME, size, wanted):
        got[:, rows, columns] = own.T
    assert torch.equal(got[0].isfinite(), wanted)
    torch.testing.assert_close(got[:, wanted], everywhere(logits, size)[:, wanted], rtol=0, atol=1e-6)


def test_only_pixels_between_different_cells_need_all_logits(monkeypatch):
    """Else the map of a large image takes as long as all of its logits do."""
    asked = []

    def noted(logits, frame, size, wanted, stride):
        asked.append(int(wanted.sum()))
        return logits_at(logits, frame, size, wanted, stride)

    monkeypatch.setattr(panoptic_map, "logits_at", noted)
    logits = torch.zeros(5, 40, 24)
    logits[1, :, :12] = logits[2, :, 12:] = 1
    semantic_map(logits, FRAME, FRAME)
    assert asked == [157 * 4]  # the columns between the centers of cells 11 and 12
