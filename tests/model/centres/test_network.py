from dataclasses import replace

import pytest
import torch
from boxes_on_canvas import targets_of
from safetensors.torch import save
from tiny import ISTHING, SKY, TINY_CENTRES, batch

from model.centres.network import CentreNetwork, build
from model.config import CentreConfig
from model.families import build_network
from model.presets import PRESETS, Method, configure
from model.targets import IGNORE
from panoptic_eval import PanopticMetric
from panoptic_eval.categories import Catalogue, Category

LOSSES = {"semantic", "center", "offset"}
MVD, CITYSCAPES = [True] * 37 + [False] * 28, [True] * 8 + [False] * 11


def built(config=TINY_CENTRES, seed=0):
    return build_network(config, ISTHING, torch.Generator().manual_seed(seed))


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def parts(network):
    """Parameters of the body and of either branch."""
    return (
        parameters(network.body),
        parameters(network.semantic_decoder, network.semantic_head),
        parameters(network.instance_decoder, network.heat_head, network.offset_head),
    )


def full(system, isthing, preset="mvd"):
    with torch.device("meta"):
        return build(configure(preset, Method(system=system)), isthing)


def test_the_published_sizes():
    """Those of the first author's code, part by part; 71.7 (HR48) and 46.7 million (X71) were published."""
    assert parts(full("deeplab-hr48", MVD)) == (65_325_120, 3_586_209, 3_310_739)
    assert parameters(full("deeplab-hr48", MVD)) == 72_222_068
    assert parameters(full("deeplab-hr48", CITYSCAPES, "cityscapes")) == 72_222_068 - 11_822
    assert parts(full("deeplab-x71", MVD)) == (40_289_736, 3_337_505, 3_130_067)
    assert parameters(full("deeplab-x71", CITYSCAPES, "cityscapes")) == 46_745_486
    separable = configure("mvd", Method(system="deeplab-hr48"))
    separable = replace(separable, context=replace(separable.context, dilated="separable"))
    with torch.device("meta"):
        assert parameters(build(separable, MVD)) == 67_528_820


CENTRES = [
    (name, system)
    for name, preset in PRESETS.items()
    for system, recipe in preset.items()
    if isinstance(recipe.network, CentreConfig)
]


@pytest.mark.parametrize(("preset", "system"), CENTRES)
def test_every_preset_can_be_built_and_the_small_ones_be_shipped(preset, system):
    assert ("streets" in preset) == (parameters(full(system, [True] * 8 + [False] * 12, preset)) < 2.09e6)
    if "streets" in preset:
        state = build(configure(preset, Method(system=system)), [True] * 8 + [False] * 12).half().state_dict()
        assert len(save(state)) < 4 * 2**20


def test_losses_are_finite_and_reach_every_parameter():
    network = built()
    losses, counts = network(*batch(range(4)))
    assert set(losses) == LOSSES
    assert all(loss.shape == () and loss.isfinite() and loss > 0 for loss in losses.values())
    assert counts["instances"] == 12
    sum(losses.values()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_offsets_of_cut_objects_are_learned_unless_they_are_left_out():
    images, targets, generators = batch(range(2))
    cut = [replace(t, open_sides=torch.ones_like(t.open_sides)) for t in targets]
    counted, left_out = (
        built(replace(TINY_CENTRES, loss=replace(TINY_CENTRES.loss, open_offsets=which)))(images, cut, generators)[0]
        for which in ("counted", "left_out")
    )
    assert counted["offset"] > 0
    assert left_out["offset"] == 0
    assert {**counted, "offset": 0} == {**left_out, "offset": 0}


def test_each_loss_weighs_what_the_configuration_says():
    def losses(**change):
        return built(replace(TINY_CENTRES, loss=replace(TINY_CENTRES.loss, **change)))(*batch(range(2)))[0]

    usual = losses()
    for name, change in (("center", {"heat": 5.0}), ("offset", {"offset": 0.03})):
        changed = losses(**change)
        torch.testing.assert_close(changed[name], usual[name] / 10)
        assert all(changed[other] == usual[other] for other in LOSSES - {name})


def test_an_image_without_instances_trains_on():
    network = built()
    empty = targets_of([], [], (64, 64))
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    losses, counts = network(images, [empty, empty], [torch.Generator() for _ in range(2)])
    assert counts["instances"] == 0
    assert losses["offset"] == 0
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_everything_ignored_costs_nothing():
    target = targets_of([], [], (64, 64), ignore=[(0, 0, 64, 64)])
    losses, _ = built()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [target], [torch.Generator()])
    assert all(loss == 0 for loss in losses.values())


def test_the_loss_of_a_batch_is_the_mean_of_its_images():
    network = built().eval()
    images, targets, generators = batch(range(4))
    together, _ = network(images, targets, generators)
    alone = [network(images[i : i + 1], targets[i : i + 1], generators[i : i + 1])[0] for i in range(4)]
    for name, loss in together.items():
        torch.testing.assert_close(loss, sum(one[name] for one in alone) / 4, msg=name)


def test_pixels_of_small_instances_count_three_times():
    """Where the head says nothing, all pixels cost the same: the mean grows by 2 for the share of small ones."""
    network = built(replace(TINY_CENTRES, loss=replace(TINY_CENTRES.loss, small_area=101)))
    torch.nn.init.zeros_(network.semantic_head[1].weight)
    image = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    small, large = targets_of([(0, 0, 10, 10)], [2], (64, 64)), targets_of([(0, 0, 11, 10)], [2], (64, 64))
    costs = [network(image, [t], [torch.Generator()])[0]["semantic"].item() for t in (small, large)]
    assert costs == pytest.approx([1.38629 * (1 + 2 * 100 / 64**2), 1.38629], rel=1e-5)


def test_what_is_padded_to_fit_the_strides_costs_nothing():
    network = built()
    torch.nn.init.zeros_(network.semantic_head[1].weight)
    with torch.no_grad():
        network.semantic_head[1].bias[SKY] = 50
    sky = targets_of([], [], (40, 70), background=SKY)
    images = torch.zeros(1, 3, 40, 70, dtype=torch.uint8)
    assert network(images, [sky], [torch.Generator()])[0]["semantic"] < 1e-6


def test_offsets_of_cells_become_those_of_their_pixels():
    """A cell's center lies between its second and third pixel; a plane stays a plane."""
    rows, columns = torch.meshgrid(4 * torch.arange(6) + 1.5, 4 * torch.arange(8) + 1.5, indexing="ij")
    pixels = CentreNetwork.at_pixels(torch.stack([10 - rows, 5 - columns])[None], (22, 30))[0]
    y, x = torch.meshgrid(torch.arange(22.0), torch.arange(30.0), indexing="ij")
    inside = (slice(None), slice(2, 20), slice(2, 28))  # beyond the outermost centers there is nothing to interpolate
    torch.testing.assert_close(pixels[inside], torch.stack([10 - y, 5 - x])[inside])


def test_the_same_seed_gives_the_same_bits():
    first, again, other = ([p.clone() for p in built(seed=seed).parameters()] for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_last_layers_start_at_next_to_nothing():
    with torch.no_grad():
        network = build_network(configure("streets", Method(system="deeplab-hr48")), ISTHING, torch.Generator())
    for head in (network.semantic_head, network.heat_head, network.offset_head):
        assert head[1].weight.std() < 0.03
        assert not head[1].bias.any()


def test_an_untrained_network_predicts_something_valid():
    network = built().eval()
    images, _, _ = batch([0, 1], size=(70, 90))  # no multiples of 32
    predictions = network.predict(images)
    assert len(predictions) == 2
    for prediction in predictions:
        assert prediction.semantic_logits.shape == (4, 24, 24)
        assert (prediction.heat.shape, prediction.offset.shape) == ((24, 24), (2, 24, 24))
        fused = network.fuse(prediction, (70, 90), (70, 90))
        assert fused.panoptic.ids.shape == fused.semantic.shape == (70, 90)


def test_a_catalogue_without_things_is_refused():
    with pytest.raises(ValueError, match="no category is a thing"):
        build(TINY_CENTRES, [False, False])


@pytest.mark.slow
def test_a_few_images_are_learnt_by_heart():
    network = built()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, 200, power=0.9)
    images, targets, generators = batch(range(3))
    for _ in range(200):
        losses, _ = network(images, targets, generators)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    catalogue = Catalogue(tuple(Category(i + 1, str(i), thing) for i, thing in enumerate(ISTHING)))
    metric = PanopticMetric(catalogue)
    for prediction, target in zip(network.predict(images), targets, strict=True):
        found = network.fuse(prediction, (64, 64), (64, 64)).panoptic
        segments = [{"id": s.id, "category_id": s.category + 1} for s in found.segments]
        metric.update((found.ids.numpy(), segments), truth(target))
    assert metric.compute().scores["PQ"]["all"] > 0.9


def truth(target):
    """Ids and segments: instances, then stuff."""
    ids = target.instances.long() + 1
    segments = [{"id": i + 1, "category_id": int(c) + 1} for i, c in enumerate(target.categories)]
    for category in range(2):
        where = (ids == 0) & (target.semantic == category)
        ids[where] = 100 + category
        segments.append({"id": 100 + category, "category_id": category + 1})
    assert (target.semantic != IGNORE).all()
    return ids.numpy(), segments
