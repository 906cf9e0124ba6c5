import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import folders
import numpy as np
import pytest
import torch
from street_folders import scene as street_scene
from street_folders import write_scenes
from tiny import FAMILIES
from tiny_training import ALONE, CATALOGUE, config, network, run, supply

from model import train as training
from model.checkpoint import latest_state, load_network, save_network
from model.checkpoint_files import CheckpointError, kept_networks
from model.config import to_json
from model.distributed import Ranks
from model.memory import OutOfMemory
from model.presets import Method, configure
from model.schedule import learning_rate
from model.train import Settings, TrainingError, initial_network, loss_names, share, train

CLOCK = ("seconds", "waiting")
COUNTS = ("positive_anchors", "positive_proposals", "points", "instances", "dropped")
QUIET = Settings(save_every=2, quiet=True)
ROOT = Path(__file__).parents[2]


def metrics(out, *, without=CLOCK):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in without} for line in lines]


def in_processes(out, *arguments):
    """Runs `tiny_training` with one thread, as these tests do."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests/support")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tiny_training", str(out), *map(str, arguments)]
    subprocess.run(command, env=environment, check=True, timeout=300)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """What follows holds for networks of all of them, where it takes this."""
    return request.param


@pytest.fixture(scope="module")
def finished(tmp_path_factory, family):
    """A run of four steps."""
    out = tmp_path_factory.mktemp("run")
    torch.set_num_threads(1)
    train(network(family), CATALOGUE, supply, out, QUIET, ALONE, data="rectangles")
    return out


OF_BOXES = ["semantic", "objectness", "anchor_box", "category", "proposal_box", "mask"]
LOSSES = {
    "boxes": OF_BOXES,
    "efficientps": OF_BOXES,
    "tascnet": [*OF_BOXES, "consistency"],
    "centres": ["semantic", "center", "offset"],
    "points": ["semantic", "mask", "proposal"],
}


def test_logs_every_step(finished, family):
    lines = metrics(finished, without=())
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert [line["images"] for line in lines] == [4, 8, 12, 16]
    schedule = config(family).schedule
    assert [line["learning_rate"] for line in lines] == [learning_rate(step, schedule) for step in range(4)]
    for line in lines:
        assert sorted(loss_names(line)) == sorted(LOSSES[family])
        assert line["loss"] == pytest.approx(sum(line[part] for part in LOSSES[family]))
        assert 0 <= line["waiting"] <= line["seconds"]
    assert [line["pixels"] for line in lines] == [4 * 64 * 64] * 4
    assert [line["instances"] for line in lines] == [12, 9, 9, 9]  # every fifth sample has none


def test_families_log_their_own_counts(finished, family):
    levels = {"boxes": 5, "efficientps": 5, "tascnet": 5}
    assert {len(line.get("positive_anchors", [])) for line in metrics(finished)} == {levels.get(family, 0)}


def test_the_network_at_the_end_is_the_last_training_state(finished):
    ends = [load_network(directory)[0].state_dict() for directory in (finished, latest_state(finished))]
    assert all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends), strict=True))
    assert latest_state(finished).name == "4"


def test_a_run_may_end_with_the_average_of_its_weights(finished, family, tmp_path):
    learner, weights = network(family, average=0.15), []

    def noting(wanted):
        for batch in supply(wanted):
            weights.append(next(learner.body.parameters()).detach().clone())  # before each step
            yield batch

    train(learner, CATALOGUE, noting, tmp_path, QUIET, ALONE, data="rectangles")
    weights.append(next(load_network(latest_state(tmp_path))[0].body.parameters()))  # after the last one
    expected = weights[0]
    for after, keep in zip(weights[1:], (0.1, 0.15, 0.15, 0.15), strict=True):
        expected = keep * expected + (1 - keep) * after
    torch.testing.assert_close(next(load_network(tmp_path)[0].body.parameters()), expected)
    assert metrics(tmp_path) == metrics(finished)  # what is averaged changes nothing of what is learned


def test_a_run_keeps_networks_on_its_way_and_learns_the_same(finished, family, tmp_path):
    train(network(family), CATALOGUE, supply, tmp_path, replace(QUIET, keep_every=3), ALONE, data="rectangles")
    assert metrics(tmp_path) == metrics(finished)
    kept = kept_networks(tmp_path)
    assert [step for step, _ in kept] == [3, 4]  # the last one, too
    assert (kept[1][1] / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()
    assert (kept[0][1] / "model.safetensors").read_bytes() != (kept[1][1] / "model.safetensors").read_bytes()
    assert kept_networks(finished) == []


def test_what_is_kept_on_the_way_is_the_average_where_there_is_one(family, tmp_path):
    learner = network(family, average=0.15)
    train(learner, CATALOGUE, supply, tmp_path, replace(QUIET, keep_every=4), ALONE, data="rectangles")
    ((_, kept),) = kept_networks(tmp_path)
    assert (kept / "model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_bits_whatever_else_was_random_before(finished, family, tmp_path):
    torch.manual_seed(99)
    train(network(family), CATALOGUE, supply, tmp_path, QUIET, ALONE, data="rectangles")
    assert metrics(tmp_path) == metrics(finished)
    assert (tmp_path / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_another_seed_gives_others(finished, family, tmp_path):
    other = initial_network(config(family), CATALOGUE, 1)
    train(other, CATALOGUE, supply, tmp_path, replace(QUIET, seed=1), ALONE, data="rectangles")
    assert metrics(tmp_path)[0] != metrics(finished)[0]


def test_what_is_drawn_depends_on_the_seed_even_where_weights_do_not(tmp_path):
    for seed in (0, 1):
        settings = replace(QUIET, seed=seed)
        train(network(steps=1), CATALOGUE, supply, tmp_path / str(seed), settings, ALONE, data="rectangles")
    first, others = (metrics(tmp_path / str(seed))[0] for seed in (0, 1))
    assert first["semantic"] == others["semantic"]  # the same weights and images
    assert first["objectness"] != others["objectness"]


@pytest.mark.parametrize(("family", "average"), [("boxes", 0.0), *((family, 0.9) for family in FAMILIES)])
def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(family, average, tmp_path):
    run(tmp_path / "calm", 6, 1, torch.float32, family, average)
    options = ("--steps", 6, "--family", family, "--average", average)
    in_processes(tmp_path / "killed", *options, "--events-until-kill", 1, 6, 10, 9, 12)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "calm")
    ends = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("calm", "killed")]
    assert ends[0] == ends[1]
    assert not list((tmp_path / "killed").rglob("*.partial"))
    kept = [
        {step: (folder / "model.safetensors").read_bytes() for step, folder in kept_networks(tmp_path / name)}
        for name in ("calm", "killed")
    ]
    assert list(kept[0]) == [3, 6]
    assert kept[0] == kept[1]


def test_two_ranks_learn_what_one_does(family, tmp_path):
    # In double precision: in single, rounding decides which of two proposals comes first, and the runs drift apart. In
    # the narrow layers of the tiny EfficientPS the difference grows tenfold a step: from 1e-16 to that after a dozen.
    steps = 8 if family == "efficientps" else 20
    run(tmp_path / "one", steps, 1, torch.float64, family)
    in_processes(tmp_path / "two", "--family", family, "--steps", steps, "--double", "--ranks", 2)
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    for a, b in zip(one, two, strict=True):
        assert {k: v for k, v in a.items() if k in COUNTS} == {k: v for k, v in b.items() if k in COUNTS}
        losses = ({k: v for k, v in line.items() if k not in COUNTS} for line in (a, b))
        assert next(losses) == pytest.approx(next(losses), abs=1e-4), a["step"]
    assert one[0]["loss"] - one[-1]["loss"] > 0.1  # it did learn


def test_two_ranks_and_two_parts_share_the_same_samples():
    def taken(step, ranks):
        return [
            k
            for part in range(2)
            for rank in range(ranks)
            for k in share(step, part, batch=8, accumulate=2, ranks=Ranks(rank, ranks, torch.device("cpu")))
        ]

    assert taken(3, 1) == taken(3, 2) == list(range(24, 32))
    with pytest.raises(TrainingError, match="a batch of 8 cannot be cut evenly into 3 parts"):
        share(0, 0, batch=8, accumulate=3, ranks=ALONE)


def test_accumulated_gradients_are_those_of_the_mean_over_parts(family, tmp_path):
    schedule = {
        "optimizer": "sgd",
        "steps": 1,
        "learning_rate": 2 / 3,
        "momentum": 0.5,
        "weight_decay": 0.0,
        "warmup": 0,
        "milestones": (),
    }
    expected = network(family, **schedule).train()
    for numbers in (range(2), range(2, 4)):
        (batch,) = supply([numbers])
        generators = [training.sample_generator(0, k) for k in numbers]
        losses, _ = expected(batch.images, batch.targets, generators)
        (sum(losses.values()) / 2).backward()
    learner = network(family, **schedule)
    train(learner, CATALOGUE, supply, tmp_path, replace(QUIET, accumulate=2), ALONE, data="rectangles")
    for (name, before), after in zip(expected.named_parameters(), learner.parameters(), strict=True):
        after_first_step = before - before.grad  # Nesterov's first step is 1 + momentum long
        torch.testing.assert_close(after, after_first_step, msg=name, rtol=1e-4, atol=1e-6)


def test_all_methods_of_a_seed_start_from_the_same_weights():
    methods = (Method(), Method(crops=False), Method(cabb=True, isus=True), Method(clipped=True))
    states = [initial_network(configure("streets", method), CATALOGUE, 5).state_dict() for method in methods]
    for state in states[1:]:
        assert all(torch.equal(state[name], weights) for name, weights in states[0].items())


def test_runs_in_bfloat16(family, tmp_path):
    half = replace(QUIET, precision="bfloat16")
    train(network(family, steps=1), CATALOGUE, supply, tmp_path, half, ALONE, data="rectangles")
    (line,) = metrics(tmp_path)
    assert math.isfinite(line["loss"])
    assert {p.dtype for p in load_network(tmp_path)[0].parameters()} == {torch.float32}


def test_a_loss_that_is_no_number_names_step_parts_and_images(tmp_path):
    def unlucky(wanted):
        for i, batch in enumerate(supply(wanted)):
            if i == 2:
                with torch.no_grad():
                    learner.semantic_head.logits.bias[0] = float("nan")
            yield batch

    learner = network()
    with pytest.raises(TrainingError, match=r"step 3 is not finite \(semantic nan.*image8, image9, image10, image11"):
        train(learner, CATALOGUE, unlucky, tmp_path, QUIET, ALONE, data="rectangles")
    assert latest_state(tmp_path).name == "2"
    load_network(latest_state(tmp_path))  # which would refuse weights that are no numbers
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2]


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(tmp_path):
    def unlucky(wanted):
        for i, batch in enumerate(supply(wanted)):
            if i == 3:
                with torch.no_grad():
                    learner.pyramid.extra[0][0].weight[0, 0, 0, 0] = float("nan")  # of a level without positives
                learner.forward = lambda *_: ({"x": learner.box_head.deltas.weight.sum()}, {})
            yield batch

    learner = network()
    with pytest.raises(TrainingError, match=r"after step 4: .*pyramid.extra.0.0.weight .*training state is .*/2"):
        train(learner, CATALOGUE, unlucky, tmp_path, QUIET, ALONE, data="rectangles")


def test_out_of_memory_comes_with_advice(tmp_path):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    learner = network()
    learner.forward = full
    with pytest.raises(OutOfMemory, match=r"--accumulate.*Tried to allocate 2 GiB\.\)"):
        train(learner, CATALOGUE, supply, tmp_path, QUIET, ALONE, data="rectangles")

    def cpu(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")

    learner.forward = cpu
    with pytest.raises(OutOfMemory, match="--accumulate"):
        train(learner, CATALOGUE, supply, tmp_path, QUIET, ALONE, data="rectangles")


def test_other_errors_are_not_taken_for_it(tmp_path):
    learner = network()
    learner.forward = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        train(learner, CATALOGUE, supply, tmp_path, QUIET, ALONE, data="rectangles")


def test_a_network_without_checkpoints_is_not_overwritten(tmp_path):
    save_network(tmp_path, network(), CATALOGUE)
    with pytest.raises(CheckpointError, match="expected a new --out"):
        train(network(), CATALOGUE, supply, tmp_path, QUIET, ALONE, data="rectangles")


def test_tensorboard_gets_the_same_numbers(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(network(steps=2), CATALOGUE, supply, tmp_path, replace(QUIET, tensorboard=True), ALONE, data="rectangles")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [e.value for e in events.Scalars("mask")] == pytest.approx([line["mask"] for line in metrics(tmp_path)])
    assert [e.step for e in events.Scalars("positive_anchors/4")] == [1, 2]


@pytest.fixture
def scenes(tmp_path):
    return write_scenes(tmp_path / "data", {name: street_scene(i, 70, 90) for i, name in enumerate("abc")})


@pytest.fixture
def settings(tmp_path):
    """A configuration in a file, as a run writes it."""
    path = tmp_path / "tiny.json"
    path.write_text(to_json(config(batch=2, steps=2)))
    return path


def command(*arguments):
    training.main([str(a) for a in (*arguments, "--workers", 0, "--device", "cpu", "--quiet")])


def test_the_command_trains_on_a_data_set_and_goes_on_where_it_was(family, scenes, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out, settings = tmp_path / "out", tmp_path / "settings.json"
    settings.write_text(to_json(config(family, batch=2, steps=2, learning_rate=0.02)))
    command(settings, "--data", scenes, "--out", out, "--bits", "16")
    lines = metrics(out)
    assert [line["step"] for line in lines] == [1, 2]
    learned, catalogue = load_network(out)
    assert [c.name for c in catalogue.categories] == ["Sky", "Car", "Person", "Road"]
    written = (out / "model.safetensors").read_bytes()
    command(settings, "--data", scenes, "--out", out, "--bits", "16")  # nothing is left to do
    assert metrics(out) == lines
    assert (out / "model.safetensors").read_bytes() == written

    settings.write_text(to_json(config(family, batch=2, steps=2, learning_rate=0.0)))
    command(settings, "--data", scenes, "--out", tmp_path / "more", "--initial", out)
    more = load_network(tmp_path / "more")[0]
    assert all(torch.equal(a, b) for a, b in zip(more.body.parameters(), learned.body.parameters(), strict=True))
    with pytest.raises(SystemExit, match=r"learning_rate 0.02, not 0.0.*expected another --out"):
        command(settings, "--data", scenes, "--out", out)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["coffee"], "no preset 'coffee': choose from mvd"),
        (["{settings}", "--cabb"], "expected no --cabb"),
        (["{settings}", "--arm", "crop"], "expected no --arm"),
        (["streets", "--arm", "crop", "--isus"], "--arm crop: says everything"),
        (["streets", "--arm", "crops"], "no variant 'crops': expected full, or some of crop, "),
        (["streets", "--arm", "tascnet+efficientps"], "no variant 'tascnet.efficientps'"),
        (["nowhere.json"], "nowhere.json"),
        (["{settings}", "--steps", "0"], "0 steps"),
        (["{settings}", "--accumulate", "3"], "cannot be cut evenly"),
        (["{settings}", "--initial", "nowhere.pth"], "nowhere.pth"),
        (["{settings}", "--initial", "{out}"], "model.safetensors: does not exist"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line(scenes, settings, tmp_path, monkeypatch, arguments, says):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    filled = [a.format(settings=settings, out=tmp_path / "out") for a in arguments]
    with pytest.raises(SystemExit, match=says) as stop:
        command(*filled, "--data", scenes, "--out", tmp_path / "out")
    assert "Traceback" not in str(stop.value.code)


def test_an_unknown_key_of_a_configuration_is_named(scenes, settings, tmp_path):
    settings.write_text(settings.read_text().replace("learning_rate", "learning_rat"))
    with pytest.raises(SystemExit, match=r"tiny.json: unknown key schedule.learning_rat;"):
        command(settings, "--data", scenes, "--out", tmp_path / "out")


def test_a_data_set_without_things_is_refused(settings, tmp_path):
    categories = [{"id": 1, "name": "sky", "isthing": 0}]
    images = {"a": (np.ones((64, 64), int), folders.segments((1, 1)))}
    gt = folders.write_coco(tmp_path / "gt.json", images, categories=categories)
    with pytest.raises(SystemExit, match="has no thing category"):
        command(settings, "--data", gt, "--out", tmp_path / "out")
