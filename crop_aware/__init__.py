"""The two ideas of Porzi et al., CVPR 2021 (arXiv 2012.07717), for any detector that trains on crops.

CABB, the crop-aware box loss, and ISUS, instance scale-uniform sampling. Both need torch, which
the extra brings:  pip install 'panoptic-eval[model]'
"""

from crop_aware.cabb import crop_aware_loss, crop_aware_targets
from crop_aware.cut import crop_aware_loss_from_full, cut_boxes
from crop_aware.sampling import Crop, ScaleUniformSampler

__all__ = [
    "Crop",
    "ScaleUniformSampler",
    "crop_aware_loss",
    "crop_aware_loss_from_full",
    "crop_aware_targets",
    "cut_boxes",
]
