"""The contract of `model.network` suffices: a family of a few lines is trained, stored, resumed and predicted with."""

import json
from typing import ClassVar

import numpy as np
import torch
from tiny_training import ALONE, CATALOGUE, config, supply
from torch import nn

from model.network import Network
from model.panoptic_map import Fused, Instance, PanopticMap, Segment
from model.predict import predict_image
from model.train import Settings, loss_names, train

SKY, BOX = 1, 2


class Brightness(nn.Module):
    """Learns how bright images are; predicts sky, and a box of 2 x 2 pixels in its corner."""

    FINAL_GAINS: ClassVar = {}

    def __init__(self):
        super().__init__()
        self.config = config(learning_rate=0.1)
        self.body = nn.Identity()
        self.level = nn.Parameter(torch.zeros(()))
        self.register_buffer("isthing", torch.tensor(CATALOGUE.isthing), persistent=False)
        self.register_buffer("mean", torch.zeros(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.ones(3, 1, 1), persistent=False)

    def forward(self, images, targets, generators):
        assert len(images) == len(targets) == len(generators)
        brightness = ((images.float() / 255).mean((1, 2, 3)) - self.level).square().mean()
        return {"brightness": brightness}, {"bright": torch.tensor(len(images))}

    def predict(self, images):
        return [float(self.level)] * len(images)

    def fuse(self, prediction, frame, size):
        ids = torch.ones(size, dtype=torch.int32)
        ids[:2, :2] = 2
        segments = (Segment(1, SKY, None, int((ids == 1).sum())), Segment(2, BOX, prediction, 4))
        box = Instance(BOX, prediction, (0.0, 0.0, 2.0, 2.0), torch.ones(2, 2, dtype=torch.bool), (0, 0))
        return Fused(PanopticMap(ids, segments), iter([box]), torch.full(size, SKY, dtype=torch.uint8))


def test_another_family_is_trained_resumed_and_predicted_with(tmp_path):
    learner: Network = Brightness()
    train(learner, CATALOGUE, supply, tmp_path, Settings(save_every=2, quiet=True), ALONE, data="rectangles")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert loss_names(lines[0]) == ["brightness"]
    assert [line["bright"] for line in lines] == [4] * 4
    assert lines[-1]["brightness"] < lines[0]["brightness"]

    again = Brightness()
    train(again, CATALOGUE, supply, tmp_path, Settings(save_every=2, quiet=True), ALONE, data="rectangles")
    assert torch.equal(again.level, learner.level)

    output = predict_image(learner, CATALOGUE, np.zeros((4, 6, 3), np.uint8), (8, 12), semantic=True)
    assert output.panoptic.ids.shape == output.semantic.shape == (8, 12)
    (instance,) = output.instances
    assert instance["category_id"] == CATALOGUE.ids[BOX]
    assert instance["bbox"] == [0, 0, 2, 2]
    assert instance["segmentation"]["size"] == [8, 12]
