"""Lightning logs every score at the end of each validation epoch; ranks are gathered by the metric."""

import lightning
import torch

from panoptic_eval.integrations.torchmetrics import PanopticScores

CATEGORIES = [{"id": 1, "name": "road", "isthing": 0}, {"id": 2, "name": "car", "isthing": 1}]


class Segmenter(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = torch.nn.Conv2d(3, 2, 3, padding=1)
        self.scores = PanopticScores(CATEGORIES)

    def training_step(self, batch, _):
        return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1] - 1)

    def validation_step(self, batch, _):
        category, target = self.network(batch[0]).argmax(1) + 1, batch[1]
        self.scores.update(torch.stack([category, 0 * category], -1), torch.stack([target, 0 * target], -1))

    def on_validation_epoch_end(self):
        self.log_dict({f"val/{name}": value for name, value in self.scores.compute().items()})
        self.scores.reset()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.02)


target = torch.randint(1, 3, (8, 4, 6)).repeat_interleave(8, 1).repeat_interleave(8, 2)
data = torch.utils.data.TensorDataset(target[:, None] + 0.5 * torch.randn(8, 3, 32, 48), target)
loader = torch.utils.data.DataLoader(data, batch_size=4)
trainer = lightning.Trainer(
    max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
)
trainer.fit(Segmenter(), loader, loader)
print(f"PQ {trainer.callback_metrics['val/PQ']:.3f}")
