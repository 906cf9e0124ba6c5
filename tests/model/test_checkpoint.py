import copy
import json
from dataclasses import replace

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from tiny_training import CATALOGUE, config, network

from model.checkpoint import (
    STAYING,
    State,
    latest_state,
    load_network,
    load_state,
    remove_leftovers,
    save_network,
    save_state,
    transfer,
)
from model.checkpoint_files import CheckpointError
from model.families import build_network
from model.presets import STREETS
from model.schedule import build_optimizer


def after_a_step(learner):
    """A network and its optimiser after a step: momentum and statistics are not those of a fresh one."""
    optimizer = build_optimizer(learner, learner.config.schedule)
    after_a_step_of(learner, optimizer)
    return learner, optimizer


def after_a_step_of(learner, optimizer):
    """The weights after a step more."""
    optimizer.zero_grad()
    losses, _ = learner.train()(*tiny.batch(range(2)))
    sum(losses.values()).backward()
    optimizer.step()
    return [p.detach().clone() for p in learner.parameters()]


@pytest.fixture(scope="module")
def trained():
    return after_a_step(network().train())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_is_written_reads_back_equal(family, tmp_path):
    learner, _ = after_a_step(network(family).train())
    save_network(tmp_path, learner, CATALOGUE)
    again, catalogue = load_network(tmp_path)
    assert catalogue == CATALOGUE
    assert again.config == learner.config
    assert not again.training
    for name, tensor in again.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, learner.state_dict()[name]), name


def test_half_precision_halves_the_file_and_moves_weights_by_a_rounding(trained, tmp_path):
    learner, _ = trained
    save_network(tmp_path / "full", learner, CATALOGUE)
    save_network(tmp_path / "half", learner, CATALOGUE, bits=16)
    sizes = [(tmp_path / kind / "model.safetensors").stat().st_size for kind in ("full", "half")]
    header = 150 * len(learner.state_dict())
    assert sizes[1] < sizes[0] / 2 + header
    again, _ = load_network(tmp_path / "half")
    for name, weight in again.named_parameters():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, learner.get_parameter(name), rtol=1e-3, atol=1e-7)


def test_eight_bits_move_no_weight_by_more_than_half_a_step_of_its_channel(trained, tmp_path):
    learner = copy.deepcopy(trained[0])
    with torch.no_grad():
        next(p for p in learner.parameters() if p.ndim == 4)[0] = 0  # a channel without scale
    save_network(tmp_path, learner, CATALOGUE, bits=8)
    again, _ = load_network(tmp_path)
    for (name, before), after in zip(learner.state_dict().items(), again.state_dict().values(), strict=True):
        if before.is_floating_point() and before.ndim > 1:
            bound = before.flatten(1).abs().amax(1).view(-1, *[1] * (before.ndim - 1)) / 254
            assert ((before - after).abs() <= bound * (1 + 1e-5)).all(), name
            assert (after != before).any()
        elif before.is_floating_point():
            assert torch.equal(before, after)
    save_network(tmp_path / "again", again, CATALOGUE, bits=8)  # what was rounded once stays
    twice, _ = load_network(tmp_path / "again")
    for name, weight in twice.named_parameters():
        torch.testing.assert_close(weight, again.get_parameter(name), rtol=1e-6, atol=0)


def test_scales_without_their_weights_are_an_error(trained, tmp_path):
    learner, _ = trained
    save_network(tmp_path, learner, CATALOGUE, bits=8)
    stored = load_file(tmp_path / "model.safetensors")
    name = next(n for n in stored if n.endswith(".scale_of_8_bits"))
    stored[name] = stored[name][:1].repeat(len(stored[name]) + 1)
    save_file(stored, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="as many channels"):
        load_network(tmp_path)


def test_the_network_of_the_streets_fits_in_two_and_a_half_mib_of_8_bits(tmp_path):
    streets = build_network(STREETS, [True] * 8 + [False] * 8, torch.Generator())
    save_network(tmp_path, streets, replace_categories(16), bits=8)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2.5 * 2**20


def replace_categories(count):
    return type(CATALOGUE)(tuple(replace(CATALOGUE.categories[0], id=i) for i in range(count)))


def damage(path, change):
    """Rewrites a file of tensors after changing the dictionary of them."""
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


WEIGHT = "box_head.deltas.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop(WEIGHT), f"has no {WEIGHT}"),
        (lambda t: t.update({WEIGHT: t[WEIGHT][1:].clone()}), f"{WEIGHT} is 7x32, and 8x32"),
        (lambda t: t.update(extra=torch.zeros(1)), "holds extra"),
        (lambda t: t[WEIGHT].view(-1)[3:4].fill_(float("nan")), f"{WEIGHT} holds values that are not finite"),
        (lambda t: t[WEIGHT].view(-1)[3:4].fill_(float("inf")), f"{WEIGHT} holds values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_named(trained, tmp_path, change, says):
    save_network(tmp_path, trained[0], CATALOGUE)
    path = tmp_path / "model.safetensors"
    damage(path, change)
    with pytest.raises(CheckpointError, match=says) as error:
        load_network(tmp_path)
    assert str(path) in str(error.value)


def test_a_truncated_file_is_named(trained, tmp_path):
    save_network(tmp_path, trained[0], CATALOGUE)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated") as error:
        load_network(tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", '{"color": 1}', "unknown key color"),
        ("config.json", None, "No such file"),
        ("categories.json", "[{}]", "no list of categories"),
        ("categories.json", "[]", "no list of categories"),
        ("categories.json", '[{"id": "1", "name": "car", "isthing": 1}]', "no list of categories"),
        ("categories.json", "[", "cannot be read as JSON"),
        ("model.safetensors", None, "does not exist"),
    ],
)
def test_other_files_that_are_wrong_are_named(trained, tmp_path, name, content, says):
    save_network(tmp_path, trained[0], CATALOGUE)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=says) as error:
        load_network(tmp_path)
    assert str(tmp_path / name) in str(error.value)


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    broken = network()
    with torch.no_grad():
        broken.box_head.deltas.weight[0, 0] = float("nan")
    optimizer = build_optimizer(broken, broken.config.schedule)
    save_state(tmp_path, network(), optimizer, CATALOGUE, State(1, 0, "data"))
    with pytest.raises(CheckpointError, match=f"{WEIGHT} holds values that are not finite"):
        save_state(tmp_path, broken, optimizer, CATALOGUE, State(2, 0, "data"))
    assert latest_state(tmp_path) == tmp_path / "checkpoints" / "1"


def test_halving_that_overflows_is_refused(tmp_path):
    large = network()
    with torch.no_grad():
        large.box_head.deltas.weight[0, 0] = 1e5
    save_network(tmp_path / "full", large, CATALOGUE)
    with pytest.raises(CheckpointError, match=WEIGHT):
        save_network(tmp_path / "half", large, CATALOGUE, bits=16)
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_training_state_reads_back_equal(family, kind, tmp_path):
    learner, optimizer = after_a_step(network(family, optimizer=kind).train())
    save_state(tmp_path, learner, optimizer, CATALOGUE, State(7, 3, "data"))
    other = network(family, optimizer=kind)
    others = build_optimizer(other, other.config.schedule)
    state = load_state(latest_state(tmp_path), other, others, CATALOGUE, State(0, 3, "data"))
    assert state == State(7, 3, "data")
    for (name, ours), theirs in zip(learner.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
        ours, theirs = (o.state[p] for o, p in ((optimizer, ours), (others, theirs)))
        assert set(ours) == ({"momentum_buffer"} if kind == "sgd" else {"step", "exp_avg", "exp_avg_sq"})
        assert set(theirs) == set(ours)
        assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == theirs[key].dtype for key in ours), name
    again = [after_a_step_of(*pair) for pair in ((learner, optimizer), (other, others))]
    assert all(torch.equal(a, b) for a, b in zip(*again, strict=True))  # and both go on alike


def test_the_last_two_states_stay_and_any_of_them_is_a_network(trained, tmp_path):
    learner, optimizer = trained
    for step in (5, 10, 200):  # by number, not by name
        save_state(tmp_path, learner, optimizer, CATALOGUE, State(step, 0, 5))
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["10", "200"]
    assert STAYING == 2
    load_network(latest_state(tmp_path))


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    checkpoints = tmp_path / "checkpoints"
    ours = [tmp_path / ".config.json.abcd_123", checkpoints / ".30.partial" / "state.json", checkpoints / "5" / "x"]
    theirs = [tmp_path / ".config.json.swp", tmp_path / "notes", *(checkpoints / step / "x" for step in ("10", "20"))]
    for path in (*ours, *theirs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    remove_leftovers(tmp_path)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)
    assert [p.name for p in sorted(checkpoints.iterdir())] == ["10", "20"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": config(learning_rate=0.5)}, "schedule.learning_rate 0.02, not 0.5"),
        ({"state": State(0, 4, "data")}, "seed 3, not 4"),
        ({"state": State(0, 3, "other")}, "data data, not other"),
        ({"catalogue": replace_categories(4)}, "other categories"),
    ],
)
def test_a_run_goes_on_only_as_it_began(trained, tmp_path, change, says):
    learner, optimizer = trained
    directory = save_state(tmp_path, learner, optimizer, CATALOGUE, State(7, 3, "data"))
    other = build_network(change.get("config", config()), CATALOGUE.isthing.tolist(), torch.Generator())
    others = build_optimizer(other, other.config.schedule)
    with pytest.raises(CheckpointError, match=says):
        load_state(
            directory, other, others, change.get("catalogue", CATALOGUE), change.get("state", State(0, 3, "data"))
        )


def test_momentum_of_another_shape_is_named(trained, tmp_path):
    learner, optimizer = trained
    directory = save_state(tmp_path, learner, optimizer, CATALOGUE, State(7, 3, "data"))
    damage(directory / "momentum.safetensors", lambda t: t.update({WEIGHT: torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=WEIGHT):
        load_state(directory, learner, optimizer, CATALOGUE, State(0, 3, "data"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.update({f"{WEIGHT}:exp_avg": torch.zeros(1)}), f"{WEIGHT}:exp_avg .1. is of no parameter"),
        (lambda t: t.update({f"{WEIGHT}:step": torch.zeros(2)}), f"{WEIGHT}:step .2. is of no parameter"),
        (lambda t: t.update({WEIGHT: t[f"{WEIGHT}:exp_avg"].clone()}), f"{WEIGHT} .8x32. is of no parameter"),
        (lambda t: t.pop(f"{WEIGHT}:exp_avg_sq"), f"has no exp_avg_sq of {WEIGHT}"),
    ],
)
def test_what_adam_keeps_is_checked(tmp_path, change, says):
    learner, optimizer = after_a_step(network(optimizer="adam").train())
    directory = save_state(tmp_path, learner, optimizer, CATALOGUE, State(7, 3, "data"))
    damage(directory / "momentum.safetensors", change)
    other = network(optimizer="adam")
    with pytest.raises(CheckpointError, match=says):
        load_state(directory, other, build_optimizer(other, other.config.schedule), CATALOGUE, State(0, 3, "data"))


def test_another_data_sets_network_gives_all_but_its_categories(trained, tmp_path):
    learner, _ = trained
    save_network(tmp_path, learner, CATALOGUE)
    other = build_network(config(), [*CATALOGUE.isthing.tolist(), True], torch.Generator().manual_seed(9))
    says = transfer(other, tmp_path / "model.safetensors")
    assert torch.equal(other.body.conv1.weight, learner.body.conv1.weight)
    assert "box_head.categories.weight" in says
    assert "body.conv1" not in says
    (tmp_path / "categories.json").write_text(json.dumps([]))  # which it does not look at
    damage(tmp_path / "model.safetensors", lambda t: (t.clear(), t.update(x=torch.zeros(1))))
    with pytest.raises(CheckpointError, match="no tensor"):
        transfer(other, tmp_path / "model.safetensors")
