import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from model.config import (
    PRESETS,
    STREETS,
    ConfigError,
    HRNetConfig,
    Method,
    configure,
    from_json,
    method_named,
    to_json,
)

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "results/streets/checkpoints"


@pytest.mark.parametrize("method", [Method(), Method(crops=False), Method(cabb=True, isus=True, seamless=True)])
@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_reads_back_equal(preset, method):
    config = configure(preset, method)
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
    seamless = configure("streets", Method(seamless=True))
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
        ("seamless", Method(seamless=True, crops=False)),
        ("seamless+crop", Method(seamless=True)),
        ("seamless+cabb+isus", Method(seamless=True, cabb=True, isus=True)),
    ],
)
def test_names_of_variants_say_what_they_switch_on(name, method):
    assert method_named(name) == method


@pytest.mark.parametrize("name", ["", "crops", "crop+", "crop+cab", "full+cabb", "full+full", "crop+crop", "CROP"])
def test_a_name_with_other_parts_is_no_variant(name):
    with pytest.raises(ValueError, match=rf"no variant '{re.escape(name)}': expected full, or some of crop, cabb"):
        method_named(name)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/seed*/config.json")), ids=lambda p: p.parts[-3])
def test_shipped_files_mean_what_they_meant(path):
    """They name no family and none of the keys that are newer than they are."""
    config = from_json(path.read_text())
    stored = json.loads(path.read_text())
    assert (config.kind, config.sample.isus, config.sample.longest) == ("boxes", "instance_first", None)
    assert (config.semantic.padding, config.fusion.semantic) == ("counted", "head")
    assert list(config.semantic.rates if config.semantic.kind == "deeplab" else ()) == stored["semantic"].get(
        "rates", []
    )
    assert list(config.sample.thing_scales) == stored["sample"]["thing_scales"]
    assert config == configure("streets", method_named(path.parts[-3]))


def test_presets_of_the_papers_data_sets_follow_the_sources_and_streets_is_as_it_was():
    for preset in ("mvd", "idd", "cityscapes"):
        for seamless in (False, True):
            config = configure(preset, Method(seamless=seamless))
            assert (config.semantic.padding, config.sample.isus) == ("left_out", "level_first")
            assert config.sample.thing_scales == (0.5, 2.0)
            assert config.sample.longest == (2304 if seamless and preset == "mvd" else None)
        assert configure(preset).semantic.rates == (3, 6, 9)
    assert (STREETS.semantic.rates, STREETS.semantic.padding) == ((1, 2), "counted")
    assert (STREETS.sample.isus, STREETS.sample.thing_scales) == ("instance_first", (0.25, 4.0))


@pytest.mark.parametrize(("preset", "images", "passes"), [("streets-2", 300, 18), ("streets-large", 1000, 30)])
@pytest.mark.parametrize("seamless", [False, True])
def test_the_second_version_has_the_regime_of_mapillary_vistas(preset, images, passes, seamless):
    crop, full = (configure(preset, Method(crops=crops, seamless=seamless)) for crops in (True, False))
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


def test_an_absent_kind_is_the_first():
    assert from_json('{"body": {"width": 16}, "semantic": {"hardest": 0.5}}').body == HRNetConfig(width=16)


def test_settings_and_names_of_variants_need_no_torch():
    """So that help texts of commands that only read them come at once."""
    code = "import sys, model.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def edited(change):
    data = json.loads(to_json(STREETS))
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["rpn"].update(anchor_size=8), r"rpn\.anchor_size"),
        (lambda d: d.update(arm="crop"), "unknown key arm"),
        (lambda d: d["roi"].update(pool="14"), r"roi\.pool is '14'"),
        (lambda d: d["roi"].update(pool=True), r"roi\.pool is True"),
        (lambda d: d["body"].update(kind="vgg"), r"body\.kind is 'vgg': must be one of hrnet, resnet"),
        (lambda d: d["body"].update(modules=[1, 1]), r"body\.modules .* must be a list of 3"),
        (lambda d: d["sample"].update(sampling="random"), r"sample\.sampling is 'random'"),
        (lambda d: d["rpn"].update(anchor_ratios=[1, "2"]), r"rpn\.anchor_ratios\[1\] is '2'"),
        (lambda d: d.update(rpn=3), "rpn is 3: must be an object"),
        (lambda d: d.update(body=3), "body is 3: must be an object"),
        (lambda d: d["body"].update(kind=["hrnet"]), r"body\.kind is \['hrnet'\]: must be one of hrnet, resnet"),
        (lambda d: d["schedule"].update(momentum=float("nan")), r"schedule\.momentum is nan: must be a finite number"),
        (lambda d: d["schedule"].update(momentum=-(10**400)), r"schedule\.momentum is -10+: must be a finite number"),
    ],
)
def test_a_wrong_value_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        from_json(edited(change))


@pytest.mark.parametrize("text", ["{", "[" * 200_000, '{"schedule": {"steps": 1' + "0" * 5000 + "}}"])
def test_text_that_is_not_json_is_an_error(text):
    with pytest.raises(ConfigError, match="not JSON"):
        from_json(text)


def test_an_absent_key_takes_its_default():
    assert from_json("{}").schedule.batch == 8


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="mvd, idd, cityscapes, streets"):
        configure("coco")
