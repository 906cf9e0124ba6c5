"""Hugging Face's post-processing of Mask2Former, scored as it comes; random logits stand for the network's."""

from types import SimpleNamespace

import torch
from transformers import Mask2FormerImageProcessorPil

from panoptic_eval import PanopticMetric

CATEGORIES = [{"id": k, "name": f"category {k}", "isthing": k < 3} for k in range(5)]

generator = torch.Generator().manual_seed(0)
outputs = SimpleNamespace(  # of Mask2FormerForUniversalSegmentation: 2 images, 20 queries, 5 categories and "no object"
    class_queries_logits=4 * torch.randn(2, 20, 6, generator=generator),
    masks_queries_logits=5 * torch.randn(2, 20, 6, 8, generator=generator),
)
results = Mask2FormerImageProcessorPil().post_process_panoptic_segmentation(
    outputs,
    threshold=0.3,
    overlap_mask_area_threshold=0.1,
    label_ids_to_fuse=set(),  # the metric fuses stuff; fused here, other segments would get its ids
    target_sizes=[(48, 64)] * 2,
)
target = torch.arange(1, 6).repeat_interleave(615)[: 48 * 64].reshape(48, 64).clamp(max=5)
truth = target, [{"id": k + 1, "category_id": k} for k in range(5)]
metric = PanopticMetric(CATEGORIES)
metric.update(results, [truth, truth])
print({name: round(value, 3) for name, value in metric.compute().flat().items() if name.startswith(("PQ", "mIoU"))})
