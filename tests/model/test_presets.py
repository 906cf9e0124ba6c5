import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from tiny import ISTHING, batch

from model.config import CentreConfig, from_json, to_json
from model.families import build_network
from model.presets import PRESETS, STREETS, Method, Recipe, System, configure, method_named
from model.schedule import build_optimizer

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("method", [Method(), Method(crops=False), Method(cabb=True, isus=True)])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("system", ["ours", "seamless", "efficientps", "tascnet"])
def test_what_is_written_reads_back_equal(preset, system, method):
    config = configure(preset, replace(method, system=system))
    assert from_json(to_json(config)) == config


def test_each_part_of_a_method_changes_its_own_setting_alone():
    crop, cabb, isus, both = (
        configure("mvd", Method(cabb=cabb, isus=isus)) for isus in (False, True) for cabb in (False, True)
    )
    assert (crop.box_loss, cabb.box_loss) == ("standard", "crop_aware")
    assert (crop.sample.sampling, isus.sample.sampling) == ("cus", "isus")
    assert replace(cabb, box_loss="standard") == crop
    assert replace(both, sample=crop.sample) == cabb
    assert replace(isus, sample=crop.sample) == crop
    full = configure("mvd", Method(crops=False)).sample
    assert full.crop is None
    assert full.shortest < crop.sample.shortest
    assert configure("mvd", Method(clipped=True)) == replace(crop, matching="clipped")
    seamless = configure("streets", Method(system="seamless"))
    assert (seamless.body.kind, seamless.semantic.kind) == ("resnet", "minidl")


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("full", Method(crops=False)),
        ("crop", Method()),
        ("crop+cabb", Method(cabb=True)),
        ("crop+isus", Method(isus=True)),
        ("crop+cabb+isus", Method(cabb=True, isus=True)),
        ("isus+crop+cabb", Method(cabb=True, isus=True)),
        ("crop+clipped", Method(clipped=True)),
        ("seamless", Method(system="seamless", crops=False)),
        ("seamless+crop", Method(system="seamless")),
        ("seamless+cabb+isus", Method(system="seamless", cabb=True, isus=True)),
        ("deeplab-hr48", Method(system="deeplab-hr48")),
        ("deeplab-x71", Method(system="deeplab-x71")),
        ("deeplab-hr48+closed", Method(system="deeplab-hr48", closed=True)),
        ("adaptis", Method(system="adaptis")),
        ("efficientps", Method(system="efficientps")),
        ("efficientps+cabb+isus", Method(system="efficientps", cabb=True, isus=True)),
        ("tascnet", Method(system="tascnet", crops=False)),
        ("tascnet+crop+cabb+isus", Method(system="tascnet", cabb=True, isus=True)),
    ],
)
def test_names_of_variants_say_what_they_switch_on(name, method):
    assert method_named(name) == method


@pytest.mark.parametrize(
    "name",
    ["", "crops", "crop+", "crop+cab", "full+cabb", "full+full", "crop+crop", "CROP", "ours", "seamless+tascnet"],
)
def test_a_name_with_other_parts_is_no_variant(name):
    with pytest.raises(ValueError, match=rf"no variant '{re.escape(name)}': expected full, or some of crop, cabb"):
        method_named(name)


NEWER = {
    "": ("kind", "consistency"),
    "body": ("deep_stem", "dilated", "groups", "group_width"),
    "pyramid": ("kind",),
    "semantic": ("padding",),
    "rpn": ("separable",),
    "roi": ("separable_masks",),
    "fusion": ("kind", "semantic", "guided"),
    "sample": ("isus", "longest"),
    "schedule": ("optimizer", "decay", "average"),
}
"""Keys that the first networks' files, of the preset streets, do not have."""


@pytest.mark.parametrize("variant", ["full", "crop+cabb+isus+clipped", "seamless+cabb+isus"])
def test_files_of_the_first_networks_mean_what_they_meant(variant):
    """A file without the keys that are newer than it means what the preset still is."""
    config = configure("streets", method_named(variant))
    data = json.loads(to_json(config))
    for part, keys in NEWER.items():
        for key in keys:
            (data[part] if part else data).pop(key, None)
    assert from_json(json.dumps(data)) == config


def test_presets_of_the_papers_data_sets_follow_the_sources_and_streets_is_as_it_was():
    for preset in ("mvd", "idd", "cityscapes"):
        for system in ("ours", "seamless"):
            config = configure(preset, Method(system=system))
            assert (config.semantic.padding, config.sample.isus) == ("left_out", "level_first")
            assert config.sample.thing_scales == (0.5, 2.0)
            assert config.sample.longest == (2304 if system == "seamless" and preset == "mvd" else None)
        assert configure(preset).semantic.rates == (3, 6, 9)
    assert (STREETS.semantic.rates, STREETS.semantic.padding) == ((1, 2), "counted")
    assert (STREETS.sample.isus, STREETS.sample.thing_scales) == ("instance_first", (0.25, 4.0))


def test_efficientps_and_tascnet_are_made_of_their_parts():
    for preset in PRESETS:
        config = configure(preset, method_named("efficientps+cabb+isus"))
        kinds = config.body.kind, config.pyramid.kind, config.semantic.kind, config.fusion.kind
        assert kinds == ("efficientnet", "two_way", "aligned", "adaptive")
        assert (config.rpn.separable, config.roi.separable_masks, config.consistency) == (False, True, 0)
        assert (config.box_loss, config.sample.sampling) == ("crop_aware", "isus")
        assert config.sample.crop is not None

        whole, seamless = (configure(preset, method_named(name)) for name in ("tascnet", "seamless"))
        assert (whole.body, whole.sample, whole.schedule) == (seamless.body, seamless.sample, seamless.schedule)
        assert (whole.semantic.kind, whole.pyramid.extra_levels, whole.consistency) == ("concatenated", 2, 1)
        assert whole.fusion == replace(seamless.fusion, guided=True)
        assert whole.semantic.padding == seamless.semantic.padding
        assert whole.sample.crop is None
        cut = configure(preset, method_named("tascnet+crop+cabb+isus"))
        assert (cut.box_loss, cut.sample.sampling, cut.sample.crop) == (
            "crop_aware",
            "isus",
            configure(preset, method_named("seamless+crop")).sample.crop,
        )


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset.startswith("streets")])
@pytest.mark.parametrize("system", get_args(System))
def test_every_small_network_takes_a_step(preset, system):
    config = configure(preset, Method(system=system))
    network = build_network(config, ISTHING, torch.Generator().manual_seed(0)).train()
    before = {name: weights.detach().clone() for name, weights in network.named_parameters()}
    optimizer = build_optimizer(network, config.schedule)
    losses, _ = network(*batch([0, 1]))
    loss = torch.stack(list(losses.values())).sum()
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    moved = [name for name, weights in network.named_parameters() if not torch.equal(weights, before[name])]
    assert len(moved) > 0.9 * len(before)
    assert all(torch.isfinite(weights).all() for weights in network.parameters())


def test_every_preset_has_every_system():
    assert {preset: {*systems} for preset, systems in PRESETS.items()} == {p: {*get_args(System)} for p in PRESETS}


@pytest.mark.parametrize(("preset", "times", "wider"), [("streets-2", 1.5, 1.5), ("streets-large", 2, 2.25)])
@pytest.mark.parametrize("system", ["deeplab-hr48", "deeplab-x71"])
def test_lengths_of_the_deeplabs_grow_with_the_images(preset, times, wider, system):
    small, large, ours = (
        configure(p, Method(system=s)) for p, s in (("streets", system), (preset, system), (preset, "ours"))
    )
    assert large.loss.sigma == times * small.loss.sigma
    assert large.loss.small_area == times**2 * small.loss.small_area
    assert large.loss.offset * times == pytest.approx(small.loss.offset)
    assert large.context.pooling == wider * small.context.pooling
    assert (large.sample, large.schedule.steps, large.schedule.batch) == (
        ours.sample,
        ours.schedule.steps,
        ours.schedule.batch,
    )
    assert (large.body, large.semantic, large.instance) == (small.body, small.semantic, small.instance)


@pytest.mark.parametrize(("preset", "images", "passes"), [("streets-2", 300, 18), ("streets-large", 1000, 30)])
@pytest.mark.parametrize("system", ["ours", "seamless"])
def test_the_second_version_has_the_regime_of_mapillary_vistas(preset, images, passes, system):
    crop, full = (configure(preset, Method(crops=crops, system=system)) for crops in (True, False))
    height = crop.sample.shortest
    pixels = crop.schedule.batch * crop.sample.crop**2
    whole = full.schedule.batch * 2 * full.sample.shortest**2
    assert 1.2 < whole / pixels < 1.35  # 1.3 in Mapillary Vistas
    assert crop.schedule.steps * pixels / (images * 2 * height**2) == pytest.approx(passes, rel=0.02)
    assert full.sample.shortest * 2 == height  # CROP has almost double FULL's resolution
    assert full.schedule.steps == crop.schedule.steps
    assert crop.semantic.padding == full.semantic.padding == "left_out"
    # The coarsest level that regions are pooled from begins well within a crop, as in the paper (448 of 1024).
    assert crop.levels.octave(3)[0] < 0.51 * crop.sample.crop


def test_settings_and_names_of_variants_need_no_torch():
    """So that help texts of commands that only read them come at once."""
    code = "import sys, model.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_parts_of_the_paper_that_a_network_cannot_have_are_refused(monkeypatch):
    monkeypatch.setitem(PRESETS, "drawn", {"deeplab-hr48": Recipe(CentreConfig(), whole_shortest=64)})
    config = configure("drawn", Method(system="deeplab-hr48", crops=False))
    assert (config.sample.crop, config.sample.shortest, config.sample.sampling) == (None, 64, "cus")
    for switch, says in (("cabb", "no boxes"), ("clipped", "no boxes"), ("isus", "no pyramid levels")):
        with pytest.raises(ValueError, match=f"deeplab-hr48 .*{says}"):
            configure("drawn", Method(system="deeplab-hr48", **{switch: True}))
    for system in ("ours", "efficientps", "adaptis"):
        with pytest.raises(ValueError, match=f"{system} has no offsets to centers"):
            configure("streets", Method(system=system, closed=True))


@pytest.mark.parametrize("system", ["deeplab-hr48", "deeplab-x71"])
def test_closed_changes_nothing_but_which_offsets_are_learned(system):
    usual, closed = (configure("streets-2", Method(system=system, closed=closed)) for closed in (False, True))
    assert (usual.loss.open_offsets, closed.loss.open_offsets) == ("counted", "left_out")
    assert replace(closed, loss=usual.loss) == usual
    assert replace(closed.loss, open_offsets="counted") == usual.loss


def test_a_system_that_a_data_set_has_no_recipe_for_is_said(monkeypatch):
    monkeypatch.setitem(PRESETS, "drawn", {"seamless": Recipe(STREETS, whole_shortest=64)})
    with pytest.raises(ValueError, match="preset drawn has no ours: choose from seamless"):
        configure("drawn")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="mvd, idd, cityscapes, streets"):
        configure("coco")
