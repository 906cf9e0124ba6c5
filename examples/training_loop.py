"""A small network learns to label pixels; its PQ is printed after each epoch, and the last epoch is kept as a run."""

import torch

from panoptic_eval import PanopticMetric

CATEGORIES = [{"id": 1, "name": "road", "isthing": 0}, {"id": 2, "name": "car", "isthing": 1}]

torch.manual_seed(0)
target = torch.ones(8, 32, 48, dtype=torch.int64)
for k in range(8):
    target[k, 8:20, 4 * k : 4 * k + 14] = 2  # a car on the road
images = target[:, None] - 1.5 + 0.5 * torch.randn(8, 3, 32, 48)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 3, padding=1))
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
metric = PanopticMetric(CATEGORIES)
for epoch in range(5):
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(network(images), target - 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    metric.reset()
    category = network(images).argmax(1) + 1
    # Category and instance of each pixel: one car an image. Instances come from your network.
    metric.update(torch.stack([category, 0 * category], -1), torch.stack([target, 0 * target], -1))
    print(f"epoch {epoch}: loss {loss.item():.3f}, PQ {metric.compute().scores['PQ']['all']:.3f}")
metric.save("runs/training_loop")  # for panoptic-eval report, compare, rescore
