"""Batches of training samples, made by worker processes; which samples are in a batch is asked for by their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from model.config import Levels, SampleConfig
from model.data.crops import Color, Sample, make_sample, pad_image, pad_targets
from model.data.index import DataIndex
from model.data.sampling import Sampler
from model.targets import IGNORE, Targets
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMaps


@dataclass(frozen=True)
class Batch:
    """Samples, padded right and below to the largest of them."""

    images: UInt8[Tensor, "b 3 h w"]
    targets: list[Targets]
    names: list[str]
    """Ids of the images."""
    dropped: int
    """Instances of which too little is visible to learn from."""

    def pin_memory(self) -> Batch:
        """Return the same in page-locked memory; the loader calls it where that was asked for."""
        pinned = [targets.each(Tensor.pin_memory) for targets in self.targets]
        return replace(self, images=self.images.pin_memory(), targets=pinned)


class CropDataset(Dataset[Sample]):
    """Endless sequence of training samples: number k is a function of the data, the seed and k alone.

    Args:
        gt: data set to cut samples from.
        index: its contents.
        config: how samples are drawn and cut.
        levels: pyramid levels of the network that learns, for ISUS; None if it has none.
        seed: decides all that is random.

    Raises:
        InputError: it has no segment, too many categories, or an image that is not known; or ISUS without levels.
    """

    def __init__(
        self, gt: LabelMaps, index: DataIndex, config: SampleConfig, levels: Levels | None, *, seed: int
    ) -> None:
        if len(gt.catalogue) > IGNORE:
            raise InputError(f"{gt.source}: has {len(gt.catalogue)} categories; expected at most {IGNORE}")
        self._gt, self._index, self._crop = gt, index, config.crop
        self._sampler = Sampler(index, config, levels, seed)
        self._padding = padding_color(config)

    def __getitem__(self, number: int) -> Sample:
        request = self._sampler.request(number)
        return make_sample(self._gt, self._index, request, crop=self._crop, padding=self._padding)

    def batches(self, wanted: Iterable[Sequence[int]], *, workers: int = 0, pin: bool = False) -> Iterator[Batch]:
        """Yield a batch for each sequence of sample numbers, in their order.

        Args:
            wanted: the numbers; ranks and resumed runs ask for their part of them.
            workers: processes; 0 makes samples as they are asked for.
            pin: put them in page-locked memory, from which copies to a GPU are asynchronous.
        """
        loader = DataLoader(
            self,
            batch_sampler=map(list, wanted),
            num_workers=workers,
            collate_fn=self._collate,
            pin_memory=pin,
            generator=torch.Generator(),  # or the loader would draw from the global one
        )
        yield from loader

    def _collate(self, samples: Sequence[Sample]) -> Batch:
        height, width = (max(sample.image.shape[axis] for sample in samples) for axis in (1, 2))
        return Batch(
            images=torch.stack([pad_image(s.image, height, width, self._padding) for s in samples]),
            targets=[pad_targets(s.labels.targets, height, width) for s in samples],
            names=[s.name for s in samples],
            dropped=sum(s.labels.dropped for s in samples),
        )


def padding_color(config: SampleConfig) -> Color:
    """Return the data set's mean color, which the network sees as zero."""
    red, green, blue = (round(255 * value) for value in config.mean)
    return red, green, blue
