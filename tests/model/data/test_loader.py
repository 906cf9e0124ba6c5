import pytest
import torch
from street_folders import scene, write_scenes

from model.config import Levels, SampleConfig
from model.data.index import build_index
from model.data.loader import CropDataset, padding_color
from model.targets import IGNORE
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError

CONFIG = SampleConfig(shortest=120, crop=48, sampling="isus")
LEVELS = Levels(canonical_size=32.0)
SCENES = {f"scene{i}": scene(i, 120, 160 + 8 * i) for i in range(4)}
BATCHES = [range(0, 3), range(3, 6), range(6, 9), range(9, 12)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    gt = ground_truth(write_scenes(tmp_path_factory.mktemp("scenes"), SCENES, jpeg=True), split="training")
    return gt, build_index(gt)


def samples(data, config=CONFIG, seed=0):
    return CropDataset(*data, config, LEVELS, seed=seed)


def same(ours, theirs):
    tensors = [[b.images, *(v for t in b.targets for v in vars(t).values())] for b in (ours, theirs)]
    return (ours.names, ours.dropped) == (theirs.names, theirs.dropped) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(*tensors, strict=True)
    )


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, on purpose
@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_makes_the_same_bytes(data, workers):
    alone = list(samples(data).batches(BATCHES))
    shared = list(samples(data).batches(BATCHES, workers=workers))
    assert len(alone) == len(shared) == 4
    assert all(same(a, b) for a, b in zip(alone, shared, strict=True))


@pytest.mark.parametrize("done", range(4))
def test_a_resumed_run_goes_on_with_the_same_bytes(data, done):
    uninterrupted = list(samples(data).batches(BATCHES))
    resumed = list(samples(data).batches(BATCHES[done:]))
    assert all(same(a, b) for a, b in zip(uninterrupted[done:], resumed, strict=True))


def test_ranks_share_what_one_would_take(data):
    world = 2
    parts = [list(samples(data).batches([range(rank, 12, world)])) for rank in range(world)]
    (whole,) = samples(data).batches([range(12)])
    for rank, (part,) in enumerate(parts):
        assert part.names == whole.names[rank::world]
        assert torch.equal(part.images, whole.images[rank::world])


def test_seeds_differ(data):
    ours, theirs = (next(samples(data, seed=seed).batches(BATCHES)) for seed in (0, 1))
    assert not same(ours, theirs)


def test_other_random_numbers_are_left_alone(data):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(samples(data).batches(BATCHES[:1]))
    assert torch.equal(before, torch.get_rng_state())


def test_whole_images_are_padded_to_the_largest_of_their_batch(data):
    config = SampleConfig(shortest=60, crop=None, sampling="cus")
    (batch,) = samples(data, config).batches([range(8)])
    alone = [samples(data, config)[k] for k in range(8)]
    heights, widths = {s.image.shape[1] for s in alone}, {s.image.shape[2] for s in alone}
    assert len(widths) > 1
    assert batch.images.shape == (8, 3, max(heights), max(widths))
    for image, targets, sample in zip(batch.images, batch.targets, alone, strict=True):
        height, width = sample.image.shape[1:]
        assert torch.equal(image[:, :height, :width], sample.image)
        assert torch.equal(targets.semantic[:height, :width], sample.labels.targets.semantic)
        outside = torch.ones(image.shape[1:], dtype=torch.bool)
        outside[:height, :width] = False
        assert (torch.tensor(padding_color(config)) == image[:, outside].T).all()
        assert (targets.semantic[outside] == IGNORE).all()
        assert targets.ignore[outside].all()
        assert (targets.instances[outside] == -1).all()


def test_an_error_in_a_worker_names_the_file(tmp_path):
    gt = ground_truth(write_scenes(tmp_path, {"only": scene(0)}), split="training")
    data = gt, build_index(gt)
    gt.maps[0].photograph.unlink()
    with pytest.raises(InputError, match=r"only\.jpg"):
        list(samples(data).batches([range(2)], workers=1))
