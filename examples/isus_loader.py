"""Crops drawn by instance scale-uniform sampling, cut and given to a DataLoader by two workers."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from crop_aware import Crop, ScaleUniformSampler

BOXES = np.array([[10, 10, 60, 90], [200, 40, 420, 200], [5, 5, 20, 18]])  # of all images
IMAGE_OF, CATEGORIES, SIDE = [0, 0, 1], [1, 2, 1], 128


class Crops(Dataset):
    def __init__(self):
        self.images = [torch.rand(1, 3, 300, 500), torch.rand(1, 3, 300, 500)]  # yours are read from files

    def __getitem__(self, crop: Crop):
        image = torch.nn.functional.interpolate(self.images[crop.image], scale_factor=crop.scale, mode="bilinear")[0]
        x0, y0, x1, y1 = crop.window
        piece = image[:, y0:y1, x0:x1]  # smaller where the image ends
        padding = (0, SIDE - piece.shape[2], 0, SIDE - piece.shape[1])
        return torch.nn.functional.pad(piece, padding), crop.level


if __name__ == "__main__":
    sizes = [(300, 500), (300, 500)]
    sampler = ScaleUniformSampler(BOXES, IMAGE_OF, CATEGORIES, image_sizes=sizes, crop=SIDE, samples=16)
    for images, levels in DataLoader(Crops(), sampler=sampler, batch_size=8, num_workers=2):
        print(tuple(images.shape), levels.tolist())
