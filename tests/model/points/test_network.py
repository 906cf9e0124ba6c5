import socket
from dataclasses import replace

import pytest
import torch
from boxes_on_canvas import targets_of
from safetensors.torch import save
from tiny import BOX, ISTHING, POLE, SKY, TINY_POINTS, batch, rectangles
from torch import distributed, nn

from model.config import PointConfig, ResNetConfig, from_json, to_json
from model.families import build_network
from model.points.network import FIRST_THRESHOLD, at_all_pixels, build, in_cells
from model.presets import PRESETS, Method, configure
from model.targets import IGNORE

MVD_CATEGORIES = [False] * 28 + [True] * 37
LOSSES = {"semantic", "mask", "proposal"}


def built(config=TINY_POINTS, seed=0):
    return build_network(config, ISTHING, torch.Generator().manual_seed(seed))


def counts(network):
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert sum(parts.values()) == sum(p.numel() for p in network.parameters())
    return parts


def test_parameters_of_the_full_networks_are_the_originals_part_by_part():
    """The originals' first convolution of the mask branch has a bias of 128 numbers, though batch norm follows."""
    mask = 462_753 - 128
    with torch.device("meta"):
        mvd = counts(build(PointConfig(), MVD_CATEGORIES))
        cityscapes = counts(
            build(PointConfig(body=ResNetConfig(deep_stem=True, dilated=True)), [False] * 11 + [True] * 8)
        )
    shared = {"neck": 15_754_336, "mask_head": mask, "proposal_head": 53_249}
    assert mvd == shared | {"body": 42_128_704, "semantic_head": 103_361}
    assert cityscapes == shared | {"body": 23_631_808, "semantic_head": 94_483}
    assert sum(mvd.values()) == 58_502_403 - 128
    assert sum(cityscapes.values()) == 39_996_629 - 128


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_network_and_reads_back_equal(preset):
    config = configure(preset, Method(system="adaptis"))
    assert from_json(to_json(config)) == config
    assert configure(preset, Method(system="adaptis", crops=False)).sample.crop is None
    assert config.context.pooling * 8 == config.sample.crop  # whole images are averaged as crops are
    with torch.device("meta"):
        parts = counts(build(config, MVD_CATEGORIES))
    full = preset in ("mvd", "idd", "cityscapes")
    assert sum(parts.values()) == (58_502_403 - 128 if full else 677_341)


def test_the_small_network_is_small_enough_to_ship():
    network = build(configure("streets-2", Method(system="adaptis")), MVD_CATEGORIES).half()
    assert len(save(network.state_dict())) < 2.5 * 2**20


def test_losses_are_finite_and_reach_every_parameter():
    network = built()
    losses, said = network(*batch(range(4)))
    assert set(losses) == LOSSES
    assert all(loss.shape == () and loss.isfinite() and loss > 0 for loss in losses.values())
    assert said["instances"] == said["points"] == 12
    sum(losses.values()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_proposals_teach_nothing_but_their_own_branch():
    network = built()
    losses, _ = network(*batch(range(4)))
    losses["proposal"].backward()
    taught = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught == {"proposal_head"}


def test_fresh_losses_are_those_of_not_knowing():
    network = built()
    for layer in ("semantic_head.2", "mask_head.logits", "proposal_head.2"):
        nn.init.zeros_(network.get_submodule(layer).weight)
    losses, _ = network(*batch(range(4)))
    known = torch.tensor(4.0).log() * TINY_POINTS.loss.semantic
    assert losses["semantic"].item() == pytest.approx(known.item(), abs=1e-4)
    assert losses["mask"].item() == pytest.approx(0.6931 / 2, abs=1e-4)  # alpha is 1/2
    assert losses["proposal"].item() == pytest.approx(0.6931, abs=1e-4)  # whatever the labels are


def test_a_batch_without_instances_trains_on():
    network = built()
    empty = targets_of([], [], (64, 64))
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    losses, said = network(images, [empty, empty], [torch.Generator() for _ in range(2)])
    assert said["instances"] == said["points"] == 0
    assert losses["mask"] == losses["proposal"] == 0
    assert losses["semantic"] > 0
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.threshold == FIRST_THRESHOLD


def test_one_point_alone_leaves_everything_finite():
    """The controller's norms then see one row."""
    network = built()
    target = targets_of([(10, 10, 30, 30)], [BOX], (64, 64))
    losses, said = network(rectangles(0)[0][None], [target], [torch.Generator().manual_seed(0)])
    assert said["points"] == 1
    sum(losses.values()).backward()
    assert all(t.isfinite().all() for t in network.state_dict().values())
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_everything_ignored_costs_nothing():
    target = targets_of([], [], (64, 64), ignore=[(0, 0, 64, 64)])
    losses, _ = built()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [target], [torch.Generator()])
    assert sum(losses.values()) == 0


def test_small_instances_get_no_points():
    target = targets_of([(10, 10, 13, 15), (30, 30, 34, 34)], [BOX, POLE], (64, 64))  # 15 and 16 pixels
    _, said = built()(rectangles(0)[0][None], [target], [torch.Generator().manual_seed(0)])
    assert said["instances"] == 2
    assert said["points"] == 1


def test_what_is_drawn_does_not_depend_on_the_rest_of_the_batch():
    """In evaluation mode, where normalization does not either, the losses of a batch are the mean of its images'."""
    network = built().eval()
    images, targets, _ = batch(range(4))
    targets[2] = targets_of([], [], (64, 64))

    def losses(rows):
        chosen = [torch.Generator().manual_seed(i) for i in rows]
        return network(images[rows], [targets[i] for i in rows], chosen)[0]

    together, alone = losses([3, 1, 2, 0]), [losses([i]) for i in range(4)]
    for name, loss in together.items():
        torch.testing.assert_close(loss, sum(one[name] for one in alone) / 4, msg=name)


def test_the_generators_alone_decide_what_is_drawn():
    network = built().eval()
    images, targets, _ = batch(range(2))

    def losses(seed):
        return network(images, targets, [torch.Generator().manual_seed(seed + i) for i in range(2)])[0]

    torch.manual_seed(1)
    first = losses(0)
    torch.manual_seed(2)
    assert losses(0) == first
    assert losses(5)["proposal"] != first["proposal"]


def test_looking_at_masks_for_proposals_leaves_the_norms_of_the_mask_head_alone():
    """Points of a single instance are not what masks are normalized by."""
    network = built()
    seen = []
    network.mask_head.controller.norm[0].register_forward_hook(lambda norm, *_: seen.append(norm.training))
    network(*batch(range(2)))
    assert seen == [True, False]
    assert network.mask_head.training
    assert network.mask_head.controller.norm[0].num_batches_tracked == 1


def test_the_threshold_moves_in_training_only_and_is_stored():
    network = built()
    network(*batch(range(4)))
    moved = network.threshold.item()
    assert moved == pytest.approx(FIRST_THRESHOLD, abs=0.0003)
    assert "threshold" in network.state_dict()
    nn.init.constant_(network.mask_head.logits.bias, 9.0)  # all masks are everything: no threshold is any better
    nn.init.zeros_(network.mask_head.logits.weight)
    network(*batch(range(4)))
    assert network.threshold.item() == moved
    nn.init.constant_(network.mask_head.logits.bias, float(torch.logit(torch.tensor(moved - 0.01))))
    network(*batch(range(4)))
    assert network.threshold.item() == pytest.approx(moved - 0.00025, abs=1e-6)  # lower, masks would be seen
    network.eval()(*batch(range(4)))
    assert network.threshold.item() == pytest.approx(moved - 0.00025, abs=1e-6)


def test_cells_and_pixels_are_where_their_centers_are():
    assert in_cells(torch.tensor([[0, 3], [4, 63]])).tolist() == [[-0.375, 0.375], [0.625, 15.375]]
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    fine = at_all_pixels(ramp, (61, 50))
    assert fine.shape == (1, 1, 61, 50)
    torch.testing.assert_close(fine[0, 0, 7, 2:], in_cells(torch.arange(2, 50)[:, None])[:, 0])


def test_what_is_padded_to_fit_the_strides_costs_nothing():
    network = built()
    nn.init.zeros_(network.semantic_head[2].weight)
    with torch.no_grad():
        network.semantic_head[2].bias[SKY] = 50
    sky = targets_of([], [], (41, 70), background=SKY)
    images = torch.zeros(1, 3, 41, 70, dtype=torch.uint8)
    assert network(images, [sky], [torch.Generator()])[0]["semantic"] < 1e-6


def test_an_untrained_network_predicts_something_valid():
    network = built().eval()
    images, _, _ = batch([0, 1], size=(70, 90))  # no multiples of 8
    predictions = network.predict(images)
    assert len(predictions) == 2
    for prediction in predictions:
        assert prediction.semantic_logits.shape == (4, 18, 24)
        assert prediction.proposal_logits.shape == (18, 24)
        for size in ((70, 90), (35, 45), (100, 200)):
            fused = network.fuse(prediction, (70, 90), size)
            assert fused.panoptic.ids.shape == fused.semantic.shape == size
            assert all(ISTHING[i.category] and 0 <= i.score <= 1 for i in fused.instances)


def test_a_point_is_asked_for_its_mask_as_in_training(monkeypatch):
    """The mask that fusion gets for a pixel is the one whose loss the same pixel has."""
    network = built().eval()
    images, targets, _ = batch([0])
    asked = {}

    def spy(prediction, mask_logits, *rest):
        asked.update({point: mask_logits(*point) for point in ((5, 7), (63, 0))})

    monkeypatch.setattr("model.points.network.fuse", spy)
    network.fuse(network.predict(images)[0], (64, 64), (64, 64))
    features = network.features(images)
    cells = in_cells(torch.tensor(list(asked)))
    expected = network.mask_head(features, network.mask_head.share(features), torch.tensor([0, 0]), cells)
    torch.testing.assert_close(torch.stack(list(asked.values())), expected)


def test_a_catalogue_without_things_is_refused():
    with pytest.raises(ValueError, match="no category is a thing"):
        build(TINY_POINTS, [False, False])


def test_a_body_that_is_not_dilated_serves_too():
    network = built(replace(TINY_POINTS, body=replace(TINY_POINTS.body, dilated=False))).eval()
    (prediction,) = network.predict(batch([0], size=(70, 90))[0])
    assert prediction.semantic_logits.shape == (4, 24, 24)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(network, images, targets, generators, optimizer):
    losses, _ = network(images, targets, generators)
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    return torch.stack([losses[name] for name in sorted(losses)]).detach()


def batch_of(step):
    images, targets, generators = batch(range(4 * step, 4 * step + 4))
    if step == 1:
        targets[:2] = [targets_of([], [], (64, 64))] * 2  # a rank without instances must not keep the other waiting
    return images, targets, generators


def one_of_two_ranks(rank, port, out):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    network = nn.parallel.DistributedDataParallel(built().double())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    history = []
    for step in range(3):
        mine = slice(2 * rank, 2 * rank + 2)
        images, targets, generators = (part[mine] for part in batch_of(step))
        history.append(run(network, images, targets, generators, optimizer))
    out[rank] = torch.stack(history), network.module.threshold.item()
    distributed.destroy_process_group()


def test_two_ranks_of_two_images_are_one_of_four():
    with torch.multiprocessing.Manager() as manager:
        out = manager.dict()
        torch.multiprocessing.spawn(one_of_two_ranks, (free_port(), out), nprocs=2)
        (first, threshold), (second, same) = out[0], out[1]
    network = built().double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for step in range(3):
        expected = run(network, *batch_of(step), optimizer)
        torch.testing.assert_close(expected, (first[step] + second[step]) / 2, atol=1e-6, rtol=1e-6)
    assert threshold == same == network.threshold.item()


@pytest.mark.slow
def test_a_few_images_are_learnt_by_heart():
    """Nearly all that there is, things and stuff, is found, where it is, as what it is: PQ is above 0.9."""
    network = built()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [112, 135])
    images, targets, _ = batch(range(8))
    for step in range(150):
        run(network, images, targets, [torch.Generator().manual_seed(8 * step + i) for i in range(8)], optimizer)
        schedule.step()
    network.eval()
    found = [network.fuse(p, (64, 64), (64, 64)).panoptic for p in network.predict(images)]
    overlaps = [iou for result, target in zip(found, targets, strict=True) for iou in matched(result, target)]
    segments = sum(len(result.segments) for result in found)
    truths = sum(len(truth_of(target)) for target in targets)
    assert sum(overlaps) / ((segments + truths) / 2) > 0.9


def truth_of(target):
    """Category and mask of each segment."""
    things = [(c, target.instances == row) for row, c in enumerate(target.categories.tolist())]
    kinds = [c for c in target.semantic.unique().tolist() if c != IGNORE and not ISTHING[c]]
    return things + [(c, target.semantic == c) for c in kinds]


def matched(result, target):
    """IoUs above one half of segments with those of their category."""
    ious = [
        ((result.ids == s.id) & mask).sum().item() / ((result.ids == s.id) | mask).sum().item()
        for category, mask in truth_of(target)
        for s in result.segments
        if s.category == category
    ]
    return [iou for iou in ious if iou > 0.5]
