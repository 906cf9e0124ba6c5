from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_training import network

from model.config import ScheduleConfig
from model.ops.abn import ABN
from model.schedule import build_optimizer, learning_rate, with_steps


def test_rises_from_a_third_then_falls_to_a_tenth_at_each_milestone():
    schedule = ScheduleConfig(learning_rate=0.3, warmup=2, milestones=(3, 5), steps=7)
    rates = [learning_rate(step, schedule) for step in range(7)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.03, 0.03, 0.003, 0.003])


def test_without_warmup_the_first_step_is_as_fast_as_the_second():
    assert learning_rate(0, ScheduleConfig(learning_rate=0.3, warmup=0)) == pytest.approx(0.3)


def test_milestones_move_with_the_end_and_the_warmup_does_not():
    shorter = with_steps(ScheduleConfig(steps=1000, milestones=(750, 900), warmup=20), 100)
    assert (shorter.steps, shorter.milestones, shorter.warmup) == (100, (75, 90), 20)
    with pytest.raises(ValueError, match="0 steps"):
        with_steps(ScheduleConfig(), 0)


def test_normalisation_layers_do_not_decay_and_all_else_does():
    parts = network()
    optimizer = build_optimizer(parts, ScheduleConfig(weight_decay=0.1))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    of_norms = {id(p) for module in parts.modules() if isinstance(module, ABN) for p in module.parameters()}
    assert of_norms
    assert {i for i, decay in decays.items() if decay == 0} == of_norms
    assert len(decays) == len(list(parts.parameters()))


def test_falls_to_nothing_as_a_power_of_what_is_left():
    schedule = ScheduleConfig(learning_rate=0.3, warmup=0, milestones=(1,), decay="poly", steps=4)
    rates = [learning_rate(step, schedule) for step in range(4)]
    assert rates == pytest.approx([0.3 * (share / 4) ** 0.9 for share in (4, 3, 2, 1)])
    warm = replace(schedule, warmup=2)
    assert learning_rate(1, warm) == pytest.approx(rates[1] * 2 / 3)


def test_adams_first_step_is_as_long_as_the_learning_rate():
    layer = torch.nn.Linear(2, 1, bias=False)
    before = layer.weight.detach().clone()
    optimizer = build_optimizer(layer, ScheduleConfig(optimizer="adam", learning_rate=0.1, weight_decay=0.0))
    layer(torch.tensor([[3.0, -0.01]])).sum().backward()
    optimizer.step()
    assert (layer.weight - before)[0].tolist() == pytest.approx([-0.1, 0.1], abs=1e-5)


def test_a_step_is_nesterovs():
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    optimizer = build_optimizer(layer, ScheduleConfig(learning_rate=0.1, momentum=0.5, weight_decay=0.2))
    weight, velocity = 1.0, 0.0
    for _ in range(3):
        F.mse_loss(layer(torch.ones(1, 1)), torch.zeros(1, 1)).backward()
        optimizer.step()
        optimizer.zero_grad()
        gradient = 2 * weight + 0.2 * weight  # of w², and of decay
        velocity = 0.5 * velocity + gradient
        weight -= 0.1 * (gradient + 0.5 * velocity)
        assert layer.weight.item() == pytest.approx(weight)
