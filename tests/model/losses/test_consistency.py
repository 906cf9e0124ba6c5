import torch

from model.losses.consistency import consistency_loss, flattened, thing_map

THINGS = torch.tensor([False, True, True])


def logit(p):
    return torch.logit(torch.as_tensor(p, dtype=torch.float64))


def test_things_are_where_they_are_likely_together_and_one_is_the_likeliest():
    probability = torch.tensor([[0.2, 0.5, 0.3], [0.45, 0.3, 0.25], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]).double()
    found = thing_map(probability.log().T[:, None], THINGS)[0]
    assert torch.allclose(found, torch.tensor([0.8, 0.0, 0.9, 0.0]).double())


def test_a_region_is_pasted_and_where_two_overlap_their_mean_stands():
    masks = torch.stack(
        [logit(torch.full((2, 2), 0.9)), logit(torch.full((2, 2), 0.7)), logit(torch.full((2, 2), 0.4))]
    )
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3], [0, 0, 4, 4]])
    found = flattened(masks, boxes, (4, 4))
    expected = torch.tensor([[0.9, 0.9, 0, 0], [0.9, 0.8, 0.7, 0], [0, 0.7, 0.7, 0], [0, 0, 0, 0]]).double()
    assert torch.allclose(found, expected)


def test_equal_maps_have_no_loss_and_one_region_on_a_blank_map_its_square():
    semantic = torch.stack([logit(torch.full((2, 2), 0.999)), *torch.full((2, 2, 2), -30.0).double()])
    masks, boxes = logit(torch.full((1, 2, 2), 0.9)), torch.tensor([[0.0, 0, 1, 1]])
    assert torch.isclose(consistency_loss(semantic, THINGS, masks, boxes), torch.tensor(0.81 / 4).double())
    nothing = consistency_loss(semantic, THINGS, masks[:0], boxes[:0])
    assert nothing == 0
    sure = torch.stack([torch.full((2, 2), -40.0), torch.full((2, 2), 40.0), torch.full((2, 2), -40.0)]).double()
    whole = consistency_loss(sure, THINGS, torch.full((1, 2, 2), 40.0).double(), torch.tensor([[0.0, 0, 2, 2]]))
    assert whole < 1e-12


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    semantic = (2 * torch.randn(3, 5, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    masks = (2 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    boxes = torch.tensor([[0.3, 0.2, 4.1, 3.7], [2.0, 1.0, 6.0, 5.0]])
    assert torch.autograd.gradcheck(lambda s, m: consistency_loss(s, THINGS, m, boxes), (semantic, masks))
    for region in ([[-5.0, -5, -1, -1]], [[2.1, 2.1, 2.3, 2.3]]):  # outside of the map; without a cell's center
        assert torch.isfinite(consistency_loss(semantic, THINGS, masks[:1], torch.tensor(region)))
