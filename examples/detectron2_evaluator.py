"""An evaluator in detectron2's loop: the same scores as COCOPanopticEvaluator's, and the predictions stay.

Here a drawn ground truth and a loop of a few lines stand for your data set and for `inference_on_dataset`.
"""

import numpy as np

from panoptic_eval import Catalogue, Category, PredictionWriter
from panoptic_eval.integrations.detectron2 import Evaluator

CATEGORIES = Catalogue((Category(1, "road", isthing=False), Category(2, "car", isthing=True)))

with PredictionWriter("drawn", CATEGORIES) as gt:  # which writes COCO's panoptic format
    for image_id in range(1, 4):
        labels = np.ones((32, 48), np.int32)
        labels[8:20, 8 * image_id : 8 * image_id + 14] = 2
        gt.write(image_id, labels, [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2}])

evaluator = Evaluator("drawn/panoptic.json", "runs/detectron2")  # metadata=MetadataCatalog.get(...) for your data set
evaluator.reset()
for image_id in range(1, 4):
    seen = np.ones((32, 48), np.int32)
    seen[8:20, 8 * image_id + 2 : 8 * image_id + 16] = 2
    segments = [
        {"id": 1, "category_id": 1, "isthing": False},
        {"id": 2, "category_id": 2, "isthing": True, "score": 0.9},
    ]
    evaluator.process([{"image_id": image_id}], [{"panoptic_seg": (seen, segments)}])
print(evaluator.evaluate())
