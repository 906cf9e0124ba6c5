import socket
from dataclasses import replace

import pytest
import torch
from boxes_on_canvas import targets_of
from safetensors.torch import save
from tiny import BOX, BOX_NETWORKS, ISTHING, POLE, SKY, TINY, batch, rectangles
from torch import distributed, nn

from crop_aware.coding import encode
from model.boxes.anchor_matching import sample_anchors
from model.boxes.losses import gather
from model.boxes.network import BoxNetwork, build
from model.families import build_network
from model.ops.roi_align import roi_align
from model.presets import PRESETS, Method, configure
from model.targets import IGNORE

LOSSES = {"objectness", "anchor_box", "category", "proposal_box", "mask", "semantic"}


def built(config=TINY, seed=0):
    return build_network(config, ISTHING, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("config", BOX_NETWORKS.values(), ids=BOX_NETWORKS)
def test_losses_are_finite_and_reach_every_parameter(config):
    network = built(config)
    losses, counts = network(*batch(range(4)))
    assert set(losses) == LOSSES | ({"consistency"} if config.consistency else set())
    assert all(loss.shape == () and loss.isfinite() and loss > 0 for loss in losses.values())
    assert counts["instances"] == 12
    assert counts["positive_anchors"].shape == (5,)
    assert counts["positive_proposals"].shape == (4,)
    assert counts["positive_anchors"].sum() >= 12
    assert counts["positive_proposals"].sum() >= 12
    sum(losses.values()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_the_weight_of_consistency_multiplies_it():
    once, thrice = (built(replace(TINY, consistency=w))(*batch([0]))[0]["consistency"] for w in (1.0, 3.0))
    torch.testing.assert_close(thrice, 3 * once)
    assert "consistency" not in built()(*batch([0]))[0]


def test_fresh_losses_are_those_of_not_knowing():
    losses, _ = built()(*batch(range(4)))
    assert losses["objectness"].item() == pytest.approx(0.693, abs=0.02)
    assert losses["mask"].item() == pytest.approx(0.693, abs=0.02)
    assert losses["category"].item() == pytest.approx(1.0986, abs=0.02)  # background and two things


@pytest.mark.parametrize("config", BOX_NETWORKS.values(), ids=BOX_NETWORKS)
def test_a_crop_without_instances_trains_on(config):
    network = built(config)
    empty = targets_of([], [], (64, 64))
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    losses, counts = network(images, [empty, empty], [torch.Generator() for _ in range(2)])
    assert counts["instances"] == 0
    assert losses["mask"] == losses["anchor_box"] == losses["proposal_box"] == 0
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_everything_ignored_costs_nothing():
    target = targets_of([], [], (64, 64), ignore=[(0, 0, 64, 64)])
    losses, _ = built()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [target], [torch.Generator()])
    inside = losses["semantic"] + losses["category"] + losses["mask"]
    assert inside == 0


def train_steps(seed, steps=2):
    network = built(seed=seed)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    history = []
    for step in range(steps):
        losses, _ = network(*batch(range(3 * step, 3 * step + 3)))
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    return history


def test_the_same_seed_gives_the_same_bits():
    assert train_steps(0) == train_steps(0)
    assert train_steps(0) != train_steps(1)


def test_arms_of_one_seed_start_from_the_same_weights():
    states = [
        built(replace(TINY, box_loss=loss, matching=m)).state_dict()
        for loss in ("standard", "crop_aware")
        for m in ("visible", "clipped")
    ]
    for state in states[1:]:
        assert all(torch.equal(state[name], tensor) for name, tensor in states[0].items())


def cut_bus():
    """A bus that goes on to the right of the crop, and one that ends at its border."""
    image, _ = rectangles(0)
    boxes, categories = [(20, 10, 64, 30), (30, 40, 64, 60)], [BOX, BOX]
    return image[None], targets_of(boxes, categories, (64, 64), full=[(20, 10, 150, 30), (30, 40, 64, 60)])


def test_the_crop_aware_loss_is_the_smaller_one_and_only_where_something_is_cut():
    def box_losses(box_loss, targets):
        network = built(replace(TINY, box_loss=box_loss))
        losses, _ = network(image, [targets], [torch.Generator().manual_seed(0)])
        return losses["anchor_box"].item(), losses["proposal_box"].item()

    image, cut = cut_bus()
    standard, aware = box_losses("standard", cut), box_losses("crop_aware", cut)
    assert aware[0] < standard[0]
    assert aware[1] <= standard[1]
    whole = replace(cut, open_sides=torch.zeros_like(cut.open_sides))
    assert box_losses("standard", whole) == box_losses("crop_aware", whole) == standard


def test_anchors_that_no_delta_moves_cost_their_distance_from_visible_boxes():
    image, cut = cut_bus()
    whole = replace(cut, open_sides=torch.zeros_like(cut.open_sides))
    network = built()
    nn.init.zeros_(network.rpn_head.deltas.weight)
    losses, _ = network(image, [whole], [torch.Generator().manual_seed(0)])

    generator = torch.Generator().manual_seed(0)
    _, levels = network.features(image)
    anchors, _ = network.anchors(levels)
    drawn = sample_anchors(anchors, [whole], [generator], TINY.rpn, "visible")
    positive = drawn.positive
    assert positive.any()
    delta = encode(whole.visible[drawn.instance[positive]], drawn.boxes[positive])
    expected = nn.functional.smooth_l1_loss(delta, 0 * delta, reduction="sum", beta=1 / 9) / len(positive)
    torch.testing.assert_close(losses["anchor_box"], expected)


def test_things_are_told_apart():
    """A box head that says pole of everything pays for the background alone where all are poles."""
    image, _ = rectangles(0)
    poles = targets_of([(10, 10, 20, 40), (40, 20, 50, 60)], [POLE, POLE], (64, 64))

    def category_loss(things):
        network = built()
        nn.init.zeros_(network.box_head.categories.weight)
        with torch.no_grad():
            network.box_head.categories.bias.copy_(torch.tensor([0.0, *things]))
        return network(image[None], [poles], [torch.Generator().manual_seed(0)])[0]["category"]

    assert category_loss([0.0, 50]) < category_loss([50.0, 0]) - 1


def test_what_is_padded_to_fit_the_strides_costs_nothing():
    network = built()
    nn.init.zeros_(network.semantic_head.logits.weight)
    with torch.no_grad():
        network.semantic_head.logits.bias[SKY] = 50
    sky = targets_of([], [], (40, 70), background=SKY)
    images = torch.zeros(1, 3, 40, 70, dtype=torch.uint8)
    assert network(images, [sky], [torch.Generator()])[0]["semantic"] < 1e-6


def test_clipped_matching_gives_the_largest_anchors_something_to_learn():
    """A bus that fills the crop and goes on to both sides: 180x38, as an anchor of the coarsest levels."""
    image, _ = rectangles(0)
    bus = targets_of([(0, 2, 64, 40)], [BOX], (64, 64), full=[(-60, 2, 120, 40)])

    def positives(matching):
        network = built(replace(TINY, matching=matching))
        _, counts = network(image[None], [bus], [torch.Generator().manual_seed(0)])
        return counts["positive_anchors"].tolist()

    assert positives("visible")[3:] == [0, 0]
    assert sum(positives("clipped")[3:]) > 0


def test_proposals_may_reach_beyond_the_crop_only_if_not_clipped(monkeypatch):
    seen = []
    pool = BoxNetwork.pool

    def spy(self, levels, boxes, image, *, mask):
        seen.append(boxes)
        return pool(self, levels, boxes, image, mask=mask)

    monkeypatch.setattr(BoxNetwork, "pool", spy)
    image, cut = cut_bus()
    for clip in (True, False):
        seen.clear()
        built(replace(TINY, clip_proposals=clip))(image, [cut], [torch.Generator().manual_seed(0)])
        beyond = (seen[0] < 0) | (seen[0] > 64)
        assert bool(beyond.any()) != clip


def test_what_is_sampled_does_not_depend_on_the_rest_of_the_batch():
    """In evaluation mode, where normalisation does not either, the losses of a batch are the mean of its images'."""
    network = built().eval()
    images, targets, _ = batch(range(4))

    def losses(rows):
        chosen = [torch.Generator().manual_seed(i) for i in rows]
        return network(images[rows], [targets[i] for i in rows], chosen)[0]

    together = losses([0, 1, 2, 3])
    alone = [losses([i]) for i in range(4)]
    for name, loss in together.items():
        torch.testing.assert_close(loss, sum(one[name] for one in alone) / 4, msg=name)


@pytest.mark.parametrize("config", BOX_NETWORKS.values(), ids=BOX_NETWORKS)
def test_an_untrained_network_predicts_something_valid(config):
    network = built(config).eval()
    images, _, _ = batch([0, 1], size=(70, 90))  # no multiples of 32
    predictions = network.predict(images)
    assert len(predictions) == 2
    for prediction in predictions:
        found = prediction.detections
        assert found.mask_logits.shape == (len(found.boxes), 28, 28)
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 0::2] <= 90).all()
        assert (found.boxes[:, 1::2] <= 70).all()
        assert {ISTHING[c] for c in found.categories.tolist()} <= {True}
        assert prediction.semantic_logits.shape == (4, 24, 24)
        fused = network.fuse(prediction, (70, 90), (70, 90))
        assert fused.panoptic.ids.shape == fused.semantic.shape == (70, 90)
        assert len(list(fused.instances)) == len(found.boxes)


def test_padding_changes_nothing_inside():
    """Images are padded to what strides ask for; boxes stay inside the image as it was."""
    network = built().eval()
    images, _, _ = batch([0], size=(64, 64))
    padded = torch.nn.functional.pad(images, (0, 20))
    assert network.predict(padded)[0].semantic_logits.shape == (4, 16, 24)


def test_heads_see_the_bins_and_numbers_of_proposals_that_the_configuration_says(monkeypatch):
    seen = []

    def spy(*arguments, bins, samples):
        seen.append((bins, samples, len(arguments[2])))
        return roi_align(*arguments, bins=bins, samples=samples)

    monkeypatch.setattr("model.boxes.network.roi_align", spy)
    rpn = replace(TINY.rpn, train_proposals=5, test_proposals=9)
    network = built(replace(TINY, rpn=rpn, roi=replace(TINY.roi, pool=6, box_samples=3)))
    images, targets, generators = batch([0])
    network(images, targets, generators)
    network.eval().predict(images)
    (*boxes, trained), (*masks, _), (*test_boxes, tested), (*test_masks, _) = seen
    assert boxes == test_boxes == [3, 3]
    assert masks == test_masks == [6, 1]
    assert trained <= 5 + 3 < tested <= 9


def test_a_catalogue_without_things_is_refused():
    with pytest.raises(ValueError, match="no category is a thing"):
        build(TINY, [False, False])


def test_rows_are_gathered_across_images():
    per_image = [torch.tensor([[1, 2]]), torch.zeros(0, 2, dtype=torch.int64), torch.tensor([[3, 4], [5, 6]])]
    got = gather(per_image, torch.tensor([2, 0, 2]), torch.tensor([1, 0, 0]))
    assert got.tolist() == [[5, 6], [1, 2], [3, 4]]


def built_for(preset, system, categories, things):
    """A preset's network, without memory or numbers."""
    with torch.device("meta"):
        return build(configure(preset, Method(system=system)), [False] * (categories - things) + [True] * things)


def parameters(network):
    return {part: sum(p.numel() for p in module.parameters()) for part, module in network.named_children()}


OF_BOXES = [
    (preset, system)
    for preset, recipes in PRESETS.items()
    for system, recipe in recipes.items()
    if recipe.network.kind == "boxes"
]


@pytest.mark.parametrize(("preset", "system"), OF_BOXES)
def test_every_preset_can_be_built(preset, system):
    assert sum(parameters(built_for(preset, system, 4, 2)).values()) > 8e5


@pytest.mark.parametrize(("preset", "categories", "things"), [("cityscapes", 19, 8), ("mvd", 65, 37)])
def test_efficientps_has_the_parameters_of_its_authors_code(preset, categories, things):
    """Counted there part by part; our heads have norms in place of biases, and no background among boxes and masks."""
    counts = parameters(built_for(preset, "efficientps", categories, things))
    of_background = {"box_head": 1024 * 4 + 4, "mask_head": 256 + 1}
    biases_to_norms = {"rpn_head": 256, "box_head": 2 * 1024, "mask_head": 256}  # as many again: a scale and a shift
    assert counts == {
        "body": 23_148_912,
        "pyramid": 1_471_488,
        "rpn_head": 593_935 + biases_to_norms["rpn_head"],
        "box_head": {8: 13_941_805, 37: 14_090_430}[things] + biases_to_norms["box_head"] - of_background["box_head"],
        "mask_head": {8: 540_169, 37: 547_622}[things] + biases_to_norms["mask_head"] - of_background["mask_head"],
        "semantic_head": {8: 1_206_547, 37: 1_230_145}[things],
    }
    assert sum(counts.values()) == {8: 40_901_059, 37: 41_080_735}[things]


@pytest.mark.parametrize(("preset", "categories", "things"), [("cityscapes", 19, 8), ("mvd", 65, 37)])
def test_tascnet_has_the_parameters_that_its_parts_add_up_to(preset, categories, things):
    counts = parameters(built_for(preset, "tascnet", categories, things))
    seamless = parameters(built_for(preset, "seamless", categories, things))
    channels, width, level = 256, 128, 256 * 256 * 9 + 2 * 256
    first, second, norm = channels * width * 9, width * width * 9, 2 * width
    assert counts["body"] == 23_508_032  # ResNet-50 without its classifier
    assert counts["semantic_head"] == 4 * (first + norm + second + norm) + (4 * width + 1) * categories
    assert counts["pyramid"] == seamless["pyramid"] + {"cityscapes": level, "mvd": 0}[preset]
    assert all(counts[part] == seamless[part] for part in ("rpn_head", "box_head", "mask_head"))
    assert sum(counts.values()) == {8: 51_105_171, 37: 51_287_417}[things]


@pytest.mark.parametrize("system", [system for preset, system in OF_BOXES if preset == "streets"])
@pytest.mark.parametrize(("preset", "categories", "things"), [("streets", 14, 8), ("streets-2", 26, 16)])
def test_networks_of_the_embedded_data_set_are_small_enough_to_ship(preset, categories, things, system):
    """In half precision, at most 4 MB a checkpoint."""
    config = configure(preset, Method(system=system))
    state = build(config, [False] * (categories - things) + [True] * things).half().state_dict()
    assert len(save(state)) < 4.1e6


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(network, images, targets, generators, optimiser):
    losses, _ = network(images, targets, generators)
    optimiser.zero_grad()
    sum(losses.values()).backward()
    optimiser.step()
    return torch.stack([losses[name] for name in sorted(losses)]).detach()


def one_of_two_ranks(rank, port, out):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    network = nn.parallel.DistributedDataParallel(built())
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    history = []
    for step in range(3):
        images, targets, generators = batch(range(4 * step, 4 * step + 4))
        if rank == 0 and step == 1:
            targets[:2] = [targets_of([], [], (64, 64))] * 2  # a rank without instances must not keep the other waiting
        mine = slice(2 * rank, 2 * rank + 2)
        history.append(run(network, images[mine], targets[mine], generators[mine], optimiser))
    out[rank] = torch.stack(history)
    distributed.destroy_process_group()


def test_two_ranks_of_two_images_are_one_of_four():
    with torch.multiprocessing.Manager() as manager:
        out = manager.dict()
        torch.multiprocessing.spawn(one_of_two_ranks, (free_port(), out), nprocs=2)
        spread = (out[0] + out[1]) / 2
    network = built()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    for step in range(3):
        images, targets, generators = batch(range(4 * step, 4 * step + 4))
        if step == 1:
            targets[:2] = [targets_of([], [], (64, 64))] * 2
        torch.testing.assert_close(
            run(network, images, targets, generators, optimiser), spread[step], atol=1e-4, rtol=1e-4
        )


def learnt_by_heart(config, seed):
    """Train on two images; tell whether every object is found, where it is, as what it is."""
    network = built(config, seed)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    warmup = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / 30, total_iters=29)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [240, 280])
    images, targets, _ = batch(range(2))
    for step in range(300):
        run(network, images, targets, [torch.Generator().manual_seed(2 * step + i) for i in range(2)], optimiser)
        warmup.step()
        schedule.step()
    network.eval()
    right = []
    for prediction, target in zip(network.predict(images), targets, strict=True):
        result = network.fuse(prediction, (64, 64), (64, 64)).panoptic
        for row, category in enumerate(target.categories.tolist()):
            own = target.instances == row
            overlap = [
                ((result.ids == s.id) & own).sum() / ((result.ids == s.id) | own).sum()
                for s in result.segments
                if s.category == category
            ]
            right.append(max(overlap, default=0) > 0.5)
        category_of = torch.tensor([IGNORE] + [s.category for s in result.segments])
        right.append((category_of[result.ids.long()] == target.semantic).float().mean() > 0.9)
    return all(right)


@pytest.mark.slow
@pytest.mark.parametrize("config", BOX_NETWORKS.values(), ids=BOX_NETWORKS)
def test_a_few_images_are_learnt_by_heart(config):
    """From one of three seeds: in so few steps some seed misses an object, another one on each processor."""
    assert any(learnt_by_heart(config, seed) for seed in range(3))
