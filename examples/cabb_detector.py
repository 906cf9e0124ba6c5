"""Ten steps of a minimal box head whose objects are cut by the crop: the crop-aware loss does not pull boxes in.

The head sees a cut car and predicts its box; the usual loss teaches that the car ends at the crop's border.
"""

import torch

from crop_aware import crop_aware_loss, cut_boxes

torch.manual_seed(0)
full_boxes = torch.tensor([[40.0, 30.0, 400.0, 200.0], [120.0, 90.0, 160.0, 150.0], [10.0, 60.0, 150.0, 120.0]])
crop = (100.0, 50.0, 228.0, 178.0)  # of the image, as cut by your data set
visible, open_sides = cut_boxes(full_boxes, crop)
features = torch.randn(len(visible), 16)  # of each proposal, as pooled from your pyramid
proposals = visible + torch.tensor([4.0, -3.0, -5.0, 6.0])
head = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for step in range(10):
    deltas = head(features)
    loss = crop_aware_loss(
        deltas, proposals, visible, open_sides, (128.0, 128.0), beta=1 / 9, weights=(10.0, 10.0, 5.0, 5.0)
    ).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.3f}")
