import json
from dataclasses import replace

import pytest

from model.config import (
    AdaptiveFusionConfig,
    AlignedConfig,
    BoxConfig,
    CentreConfig,
    ConcatenatedConfig,
    ConfigError,
    EfficientNetConfig,
    FusionConfig,
    HRNetConfig,
    PointConfig,
    PyramidConfig,
    TwoWayConfig,
    from_json,
    to_json,
)
from model.presets import STREETS


def test_an_absent_kind_is_the_first():
    assert from_json('{"body": {"width": 16}, "semantic": {"hardest": 0.5}}').body == HRNetConfig(width=16)
    config = from_json('{"pyramid": {"channels": 8}, "fusion": {"stuff_area": 3}}')
    assert (config.pyramid, config.fusion) == (PyramidConfig(channels=8), FusionConfig(stuff_area=3))


def test_parts_of_every_kind_read_back():
    parts = {
        "body": EfficientNetConfig(depths=(1, 1, 2, 1, 1, 1, 1)),
        "pyramid": TwoWayConfig(extra_levels=1),
        "semantic": AlignedConfig(dilations=((1, 2), (1, 1), (2, 5), (4, 4), (2, 1))),
        "fusion": AdaptiveFusionConfig(gain=4.0),
    }
    for config in (replace(STREETS, **parts), replace(STREETS, semantic=ConcatenatedConfig(), consistency=1.0)):
        assert from_json(to_json(config)) == config


@pytest.mark.parametrize("config", [BoxConfig(), CentreConfig(), PointConfig()], ids=lambda c: c.kind)
def test_the_kind_of_the_whole_tells_families_apart(config):
    assert from_json(to_json(config)) == config
    assert from_json(json.dumps({"kind": config.kind})) == config


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
        (lambda d: d.update(kind="centers"), "kind is 'centers': must be one of boxes, centres, points"),
        (lambda d: d.update(kind="centres"), "unknown key pyramid"),
        (
            lambda d: d["schedule"].update(optimizer="lamb"),
            r"schedule\.optimizer is 'lamb': must be one of 'sgd', 'adam'",
        ),
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
