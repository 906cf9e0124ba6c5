import torch

from model.panoptic_map import semantic_map


def test_the_semantic_map_is_that_of_resized_logits():
    logits = torch.randn(5, 40, 24, generator=torch.Generator().manual_seed(0))  # of 157x93 pixels, padded
    full = torch.nn.functional.interpolate(logits[None], scale_factor=4, mode="bilinear")[0, :, :157, :93]
    got = semantic_map(logits, (157, 93), (157, 93))
    assert (got == full.argmax(0)).float().mean() > 0.9999  # rounding may decide a tie
    assert got.dtype == torch.uint8
