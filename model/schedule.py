"""Optimizer and learning rate over time: by default SGD with Nesterov momentum, warm-up and steps, as in Seamless."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from model.config import ScheduleConfig
from model.ops.abn import ABN

WARMUP_START = 1 / 3
"""Share of the learning rate at the first step."""
DECAY = 0.1
"""Factor at each milestone."""
POWER = 0.9
"""Exponent of the polynomial decay (from the code of Panoptic-DeepLab and of AdaptIS)."""


def learning_rate(step: int, schedule: ScheduleConfig) -> float:
    """Return the learning rate of a step, counted from 0."""
    done = min(step / schedule.warmup, 1.0) if schedule.warmup else 1.0
    warm = schedule.learning_rate * (WARMUP_START + (1 - WARMUP_START) * done)
    if schedule.decay == "poly":
        return warm * (1 - step / schedule.steps) ** POWER
    return warm * DECAY ** sum(step >= milestone for milestone in schedule.milestones)


def with_steps(schedule: ScheduleConfig, steps: int) -> ScheduleConfig:
    """Stretch a schedule to another number of steps: milestones move with the end, the warm-up stays.

    Raises:
        ValueError: no step.

    >>> with_steps(ScheduleConfig(steps=100, milestones=(80,)), 50).milestones
    (40,)
    """
    if steps < 1:
        raise ValueError(f"{steps} steps: must be 1 or more")
    milestones = tuple(round(milestone * steps / schedule.steps) for milestone in schedule.milestones)
    return replace(schedule, steps=steps, milestones=milestones)


def build_optimizer(network: nn.Module, schedule: ScheduleConfig) -> torch.optim.Optimizer:
    """Build the optimizer of all parameters that learn; those of normalization layers do not decay."""
    norms = {id(p) for module in network.modules() if isinstance(module, ABN) for p in module.parameters()}
    learning = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if id(p) not in norms], "weight_decay": schedule.weight_decay},
        {"params": [p for p in learning if id(p) in norms], "weight_decay": 0.0},
    ]
    if schedule.optimizer == "adam":
        return torch.optim.Adam(groups, lr=schedule.learning_rate)
    return torch.optim.SGD(groups, lr=schedule.learning_rate, momentum=schedule.momentum, nesterov=True)
