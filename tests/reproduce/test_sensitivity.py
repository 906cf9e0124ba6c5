from dataclasses import replace

import pytest

from model.presets import configure, method_named
from reproduce.experiments import LARGEST
from reproduce.sensitivity import Cell, draw, sensitivity_rows

CROP, ISUS = (configure("streets", method_named(name)) for name in ("crop", "crop+isus"))


def cell(name, config, pq, *, seed="0", data="d", images=40):
    return Cell(name, config, seed, data, images, {"PQ": pq, "PQ_th": pq, LARGEST: pq})


def isus(low, high, *, rule="level_first", steps=None):
    config = replace(ISUS, sample=replace(ISUS.sample, thing_scales=(low, high), isus=rule))
    return config if steps is None else replace(config, schedule=replace(config.schedule, steps=steps))


def test_a_cell_is_compared_with_the_run_that_differs_in_sampling_alone():
    long = replace(CROP, schedule=replace(CROP.schedule, steps=9000))
    found = [
        cell("crop", CROP, 0.4),
        cell("crop, long", long, 0.5),
        cell("crop, seed 1", CROP, 0.42, seed="1"),
        cell("narrow", isus(0.5, 2), 0.41),
        cell("narrow, long", isus(0.5, 2, steps=9000), 0.53),
        cell("narrow, seed 1", isus(0.5, 2), 0.40, seed="1"),
        cell("registered", ISUS, 0.38),
        cell("other rule", isus(0.5, 2, rule="instance_first"), 0.37),
        cell("other data", isus(0.5, 2), 0.9, data="e"),  # has no base
        cell("other images", isus(0.5, 2), 0.9, images=20),
        cell("cabb", replace(isus(0.5, 2), box_loss="crop_aware"), 0.9),
    ]
    rows = sensitivity_rows(found, ISUS).set_index("run")
    gains = (100 * rows["PQ"]).round(6).to_dict()
    assert gains == {"narrow": 1, "narrow, long": 3, "narrow, seed 1": -2, "registered": -2, "other rule": -3}
    assert rows.loc["narrow, long", "base"] == "crop, long"
    assert rows.index[rows["registered"]].tolist() == ["registered"]


def test_only_cells_that_were_run_are_drawn_and_the_registered_one_is_marked():
    found = [cell("crop", CROP, 0.4), cell("a", isus(0.5, 2), 0.41), cell("b", ISUS, 0.38)]
    figure = draw(sensitivity_rows(found, ISUS))
    assert [len(ax.get_xticks()) for ax in figure.axes] == [2, 2]
    lines = figure.axes[0].lines
    marked = [y for line in lines if line.get_label() == "registered" for y in line.get_ydata()]
    assert marked == [pytest.approx(-2)]
    assert sum(len(line.get_xdata()) for line in lines if "first" in str(line.get_label())) == 2


def test_without_a_base_there_is_no_cell():
    assert sensitivity_rows([cell("a", ISUS, 0.4)], None).empty
