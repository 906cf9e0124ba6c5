"""The benchmark compares what does the same work: ours and the peers that the tests have agree on a tiny data set."""

import pytest

from benchmarks import contenders, data


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    data.write(data.PRESETS["tiny"], folder, workers=1)
    return folder


@pytest.mark.parametrize(
    ("peer", "work"),
    [
        ("panopticapi", contenders.PQ),
        ("pycocotools", contenders.AP),
        ("panopticapi + pycocotools", contenders.EVERYTHING),
    ],
)
def test_ours_and_a_peer_give_the_same_scores(tiny, peer, work):
    ours, theirs = (contenders.CONTENDERS[tool, work](tiny)() for tool in ("ours", peer))
    assert ours.keys() == theirs.keys()
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert all(0 < value < 1 for value in ours.values())


def test_decoding_alone_gives_no_score(tiny):
    assert contenders.CONTENDERS["Pillow, decoding only", contenders.ONE_THREAD](tiny)() == {}
