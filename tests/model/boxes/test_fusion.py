import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.boxes.fusion import fuse, paste
from model.boxes.prediction import Detections, Prediction
from model.config import FusionConfig

SKY, ROAD, CAR, BUS = range(4)
ISTHING = torch.tensor([False, False, True, True])
SIZE = (8, 16)
ANY_AREA = FusionConfig(stuff_area=1)


def semantics(rows):
    """Logits, a cell for 4x4 pixels, from a drawing: one letter a cell."""
    cells = torch.tensor([["sr".index(c) if c in "sr" else CAR for c in row] for row in rows])
    return torch.nn.functional.one_hot(cells, 4).permute(2, 0, 1) * 50.0


def instances(*rows):
    """Each x0, y0, x1, y1, score, category; masks fill their boxes."""
    table = torch.tensor(rows, dtype=torch.float32).view(-1, 6)
    full = torch.full((len(rows), 4, 4), 9.0)
    return Detections(table[:, :4], table[:, 4], table[:, 5].long(), full)


def drawn(result):
    """Segment ids as letters: a is segment 1; . is void."""
    return ["".join(".abcdefgh"[i] for i in row) for row in result.ids.tolist()]


SEMANTIC = semantics(["ssss", "rrrr"])


def fused(*rows, semantic=SEMANTIC, config=ANY_AREA, size=SIZE):
    return fuse(Prediction(instances(*rows), semantic), ISTHING, SIZE, size, config).panoptic


def test_instances_lie_in_front_of_stuff():
    result = fused((4, 2, 10, 6, 0.9, CAR))
    sky, car = "cccccccccccccccc".replace("c", "b"), "bbbbaaaaaabbbbbb"
    assert drawn(result) == [sky, sky, car, car, *[car.replace("b", "c")] * 2, *["c" * 16] * 2]
    assert [(s.id, s.category, s.area) for s in result.segments] == [(1, CAR, 24), (2, SKY, 52), (3, ROAD, 52)]
    assert [s.score for s in result.segments] == [pytest.approx(0.9), None, None]


def test_the_better_instance_takes_shared_pixels():
    result = fused((0, 0, 8, 4, 0.6, CAR), (4, 0, 12, 4, 0.9, BUS))
    assert drawn(result)[0] == "bbbbaaaaaaaacccc"
    assert [(s.category, s.area) for s in result.segments[:2]] == [(BUS, 32), (CAR, 16)]


def test_an_instance_that_is_mostly_taken_is_dropped():
    assert drawn(fused((0, 0, 8, 4, 0.9, BUS), (3, 0, 11, 4, 0.6, CAR)))[0] == "aaaaaaaabbbbbbbb"
    assert drawn(fused((0, 0, 8, 4, 0.9, BUS), (4, 0, 12, 4, 0.6, CAR)))[0] == "aaaaaaaabbbbcccc"  # exactly half: kept


def test_the_semantic_map_is_that_of_the_head_or_of_segments():
    """A thing that no instance takes is void in the panoptic map; its pixels keep their category either way."""
    semantic = semantics(["ssts", "rrrr"])
    prediction = Prediction(instances((0, 0, 4, 4, 0.9, BUS)), semantic)
    head, fused = (
        fuse(prediction, ISTHING, SIZE, SIZE, FusionConfig(stuff_area=1, semantic=kind)) for kind in ("head", "fused")
    )
    assert head.semantic[0].tolist() == [SKY] * 8 + [CAR] * 4 + [SKY] * 4
    assert fused.semantic[0].tolist() == [BUS] * 4 + [SKY] * 4 + [CAR] * 4 + [SKY] * 4
    assert drawn(fused.panoptic)[0] == drawn(head.panoptic)[0] == "aaaabbbb....bbbb"


def seen(*logits):
    """Semantic logits of sky, road, car and bus, the same in all cells."""
    return torch.tensor(logits, dtype=torch.float32)[:, None, None].expand(4, 2, 4)


GUIDED = FusionConfig(stuff_area=1, guided=True)
ROWS = (0, 0, 8, 4, 0.6, CAR), (4, 0, 12, 4, 0.9, BUS), (3, 2, 11, 6, 0.8, CAR)


def test_guided_by_things_everywhere_it_is_the_same_map():
    free, guided = (fused(*ROWS, semantic=seen(0, 0, 9, 0), config=c) for c in (ANY_AREA, GUIDED))
    assert len(free.segments) == 2
    assert torch.equal(free.ids, guided.ids)
    assert free.segments == guided.segments


def test_guided_by_no_thing_there_is_no_instance():
    assert len(fused(*ROWS, semantic=seen(9, 0, 0, 0)).segments) == 3
    assert [s.category for s in fused(*ROWS, semantic=seen(9, 0, 0, 0), config=GUIDED).segments] == [SKY]
    # Car is the likeliest, but all stuff together is likelier than all things.
    assert fused(*ROWS, semantic=seen(1, 1, 1.2, -9), config=GUIDED).segments == ()
    assert len(fused(*ROWS, semantic=seen(1, 1, 1.2, 1.1), config=GUIDED).segments) == 2


def test_guided_instances_are_cut_to_where_things_are_seen():
    semantic = semantics(["sttt", "rrrr"])
    result = fused((0, 0, 12, 8, 0.9, BUS), semantic=semantic, config=GUIDED)
    assert drawn(result)[0] == "bbbbaaaaaaaa...."
    assert drawn(result)[7] == "c" * 16
    assert [(s.category, s.area) for s in result.segments] == [(BUS, 32), (SKY, 16), (ROAD, 64)]
    taken = fused((0, 0, 12, 4, 0.9, BUS), (6, 0, 14, 8, 0.8, CAR), semantic=semantic, config=GUIDED)
    assert drawn(taken)[0] == "bbbbaaaaaaaa...."  # of the car's 32 pixels that things have, 24 are taken


def test_scores_decide_who_takes_part():
    assert len(fused((0, 0, 8, 4, 0.49, CAR)).segments) == 2
    assert len(fused((0, 0, 8, 4, 0.5, CAR)).segments) == 3


def test_small_stuff_and_things_without_an_instance_are_void():
    semantic = semantics(["sscr", "ssss"])
    assert drawn(fused(semantic=semantic, config=FusionConfig(stuff_area=17)))[0] == "aaaaaaaa........"
    assert drawn(fused(semantic=semantic))[0] == "aaaaaaaa....bbbb"


def test_stuff_is_measured_on_what_instances_leave():
    result = fused((0, 4, 15, 8, 0.9, BUS), config=FusionConfig(stuff_area=5))
    assert drawn(result)[7] == "a" * 15 + "."
    assert [s.category for s in result.segments] == [BUS, SKY]


def test_a_map_of_another_size_shows_the_same_segments():
    rows = (4, 2, 10, 6, 0.9, CAR), (0, 0, 2, 2, 0.8, BUS)
    small, large = fused(*rows), fused(*rows, size=(24, 48))
    assert torch.equal(large.ids, small.ids.repeat_interleave(3, 0).repeat_interleave(3, 1))
    assert [s.area for s in large.segments] == [9 * s.area for s in small.segments]


def test_the_least_stuff_area_is_that_of_the_image_the_network_saw():
    config = FusionConfig(stuff_area=64)
    assert len(fused(size=(24, 48), config=config).segments) == len(fused(config=config).segments) == 2
    config = FusionConfig(stuff_area=65)
    assert len(fused(size=(24, 48), config=config).segments) == len(fused(config=config).segments) == 0


def test_a_mask_is_pasted_at_the_centers_of_pixels():
    half = torch.tensor([[9.0, -9.0], [9.0, -9.0]])
    mask, corner = paste(half, torch.tensor([2.0, 1.0, 10.0, 3.0]), SIZE)
    assert corner == (1, 2)
    assert mask.tolist() == [[True] * 4 + [False] * 4] * 2
    mask, corner = paste(half, torch.tensor([2.6, 1.4, 4.4, 2.6]), SIZE)  # centers at 3.5; and at 1.5, 2.5
    assert (mask.shape, corner) == ((2, 1), (1, 3))
    mask, _ = paste(half, torch.tensor([-6.0, 6.0, 10.0, 20.0]), SIZE)
    assert mask.shape == (2, 10)
    assert mask[0].tolist() == [True] * 2 + [False] * 8
    for outside in ([20.0, 0, 24, 4], [-9, 0, -4, 4], [3.6, 1, 4.4, 3]):
        assert paste(half, torch.tensor(outside), SIZE)[0].numel() == 0


def test_an_instance_without_pixels_is_no_segment():
    nothing = Detections(
        torch.tensor([[0.0, 0, 8, 8], [3.6, 1, 4.4, 3]]),
        torch.tensor([0.9, 0.8]),
        torch.tensor([CAR, CAR]),
        torch.stack([torch.full((4, 4), -9.0), torch.full((4, 4), 9.0)]),
    )
    result = fuse(Prediction(nothing, SEMANTIC), ISTHING, SIZE, SIZE, ANY_AREA).panoptic
    assert [s.category for s in result.segments] == [SKY, ROAD]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(0, 12), st.sampled_from([(8, 16), (5, 7), (20, 33)]))
def test_laws(seed, count, size):
    """Whatever is predicted: ids run from 1, no segment is empty, areas are those of the map, stuff comes once."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([14.0, 6.0]) - 1
    found = Detections(
        torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 8 + 0.1], 1),
        torch.rand(count, generator=generator),
        torch.randint(CAR, BUS + 1, (count,), generator=generator),
        torch.randn(count, 6, 6, generator=generator) * 3,
    )
    prediction = Prediction(found, torch.randn(4, 2, 4, generator=generator))
    result = fuse(prediction, ISTHING, SIZE, size, FusionConfig(stuff_area=3)).panoptic
    assert result.ids.shape == size
    assert [s.id for s in result.segments] == list(range(1, len(result.segments) + 1))
    areas = torch.bincount(result.ids.flatten(), minlength=len(result.segments) + 1)[1:]
    assert areas.tolist() == [s.area for s in result.segments]
    assert all(a > 0 for a in areas)
    stuff = [s.category for s in result.segments if s.score is None]
    assert len(stuff) == len(set(stuff))
    assert not any(ISTHING[c] for c in stuff)
