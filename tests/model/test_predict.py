import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import folders
import numpy as np
import pytest
import tiny
import torch
from folders import contents
from PIL import Image
from tiny_training import CATALOGUE, network

from model import predict as predicting
from model.checkpoint import save_network
from model.predict import main, photographs, predict_image, read_image
from panoptic_eval.cli import main as panoptic_eval
from panoptic_eval.errors import InputError
from panoptic_eval.prediction_writer import PredictionWriter

ROOT = Path(__file__).parents[2]
SIZES = [(40, 60), (64, 64), (100, 30)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    save_network(directory, network(), CATALOGUE)
    return directory


@pytest.fixture
def images(tmp_path):
    """Three images of different shapes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, (height, width) in zip(("b", "a", "c"), SIZES, strict=True):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"{name}.jpg")
    return folder


@pytest.fixture
def one_thread():
    """The number of threads decides the order of sums, hence the last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(checkpoint, images, out, *options):
    main(["--checkpoint", str(checkpoint), "--images", str(images), "--out", str(out), "--quiet", *options])
    return json.loads((out / "panoptic.json").read_text())


def write_ground_truth(folder, ids):
    """Images in Mapillary's layout, whose ground truth is sky, and a box."""
    config = {"labels": [{"name": c.name, "instances": c.isthing, "evaluate": True} for c in CATALOGUE.categories]}
    folders.write_json(folder / "config.json", config)
    for i, id_ in enumerate(ids):
        labels = np.full(SIZES[i % 3], 1 * 256)
        labels[2 : 8 + 5 * i, 3:20] = 2 * 256 + 1
        folders.write_gray(folder / "validation/instances" / f"{id_}.png", labels)
        folders.write_photograph(folder / "validation/images" / f"{id_}.jpg", labels)
    return folder


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_an_untrained_network_predicts_what_can_be_scored(family, tmp_path, capsys):
    categories = tuple(type(c)(i + 1, c.name, c.isthing) for i, c in enumerate(CATALOGUE.categories))
    save_network(tmp_path / "checkpoint", network(family), type(CATALOGUE)(categories))
    gt = write_ground_truth(tmp_path / "gt", ["one", "two", "three"])
    run(tmp_path / "checkpoint", gt, tmp_path / "pred", "--semantic")
    panoptic_eval(["--pred", str(tmp_path / "pred"), "--gt", str(gt), "--quiet"])
    said = capsys.readouterr().out
    assert "3 images" in said
    warnings = [line for line in said.splitlines() if "warning" in line]
    untrained = ("predicted segments are of category", "no image has a predicted segment")  # all that it can say
    assert all(any(says in line for says in untrained) for line in warnings)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_maps_are_of_the_images_own_sizes_and_ids_their_names(family, images, tmp_path):
    save_network(tmp_path / "checkpoint", network(family), CATALOGUE)
    panoptic = run(tmp_path / "checkpoint", images, tmp_path / "out", "--semantic")
    assert [image["id"] for image in panoptic["images"]] == ["a", "b", "c"]
    for image in panoptic["images"]:
        size = SIZES["bac".index(image["id"])]
        assert (image["height"], image["width"]) == size
        for kind in ("panoptic", "semantic"):
            with Image.open(tmp_path / "out" / kind / f"{image['id']}.png") as map_:
                assert map_.size == size[::-1]
    assert [c["name"] for c in panoptic["categories"]] == [c.name for c in CATALOGUE.categories]
    instances = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert {one["category_id"] for one in instances} <= {c.id for c in CATALOGUE.categories if c.isthing}


def test_at_another_scale_the_network_sees_other_sizes_and_maps_have_the_images_own(
    checkpoint, images, tmp_path, monkeypatch
):
    seen = []

    def noted(network, catalogue, image, size, **options):
        seen.append((image.shape[:2], size))
        return predict_image(network, catalogue, image, size, **options)

    monkeypatch.setattr(predicting, "predict_image", noted)
    run(checkpoint, images, tmp_path / "half", "--scale", "0.5")
    shortest = network().config.sample.shortest
    assert [(min(shape), size) for shape, size in seen] == [(shortest // 2, SIZES["bac".index(name)]) for name in "abc"]
    with pytest.raises(SystemExit, match="other options"):  # predictions at one scale are not gone on with at another
        run(checkpoint, images, tmp_path / "half")
    with pytest.raises(SystemExit, match="above 0"):
        run(checkpoint, images, tmp_path / "none", "--scale", "0")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_network_may_predict_in_half_precision(family, images, tmp_path, monkeypatch):
    seen = []
    learned = network(family)
    monkeypatch.setattr(predicting, "load_network", lambda _: (learned.eval(), CATALOGUE))
    monkeypatch.setattr(predicting, "fingerprint", lambda _: "this")
    learned.body.register_forward_hook(lambda *given: seen.append(given[2][0].dtype))
    run("checkpoint", images, tmp_path / "single")
    run("checkpoint", images, tmp_path / "half", "--precision", "bfloat16")
    assert seen == [torch.float32] * 3 + [torch.bfloat16] * 3
    with pytest.raises(SystemExit, match="other options"):
        run("checkpoint", images, tmp_path / "half")


def test_ranks_share_the_work_and_the_result_is_the_same(checkpoint, images, tmp_path, one_thread):
    run(checkpoint, images, tmp_path / "one", "--semantic", "--device", "cpu")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "model.predict"]
    options = [
        "--checkpoint",
        checkpoint,
        "--images",
        images,
        "--out",
        tmp_path / "two",
        "--semantic",
        "--device",
        "cpu",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *launch, *map(str, options)], env=environment, cwd=ROOT, check=True, timeout=300)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_goes_on_where_it_stopped(checkpoint, images, tmp_path, monkeypatch):
    run(checkpoint, images, tmp_path / "calm")
    written = []

    def interrupted(writer, image_id, *arrays, **more):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(image_id)
        write(writer, image_id, *arrays, **more)

    write = PredictionWriter.write
    monkeypatch.setattr(PredictionWriter, "write", interrupted)
    with pytest.raises(SystemExit) as stop:
        run(checkpoint, images, tmp_path / "out")
    assert stop.value.code == 130
    monkeypatch.setattr(
        PredictionWriter, "write", lambda *given, **more: (written.append(given[1]), write(*given, **more))
    )
    run(checkpoint, images, tmp_path / "out")
    assert written == ["a", "b", "c"]  # each once
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_killed_while_parts_are_joined_it_completes_them(checkpoint, images, tmp_path, monkeypatch):
    run(checkpoint, images, tmp_path / "calm")
    write, left = predicting.write_atomically, [0]

    def fails(path, content):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(predicting, "write_atomically", fails)
    for steps in (2, 2, 1):  # after the mark; before instances.json; before panoptic.json
        left[0] = steps
        with pytest.raises(SystemExit):
            run(checkpoint, images, tmp_path / "out")
    monkeypatch.setattr(predicting, "write_atomically", write)
    run(checkpoint, images, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_killed_while_parts_are_removed_nothing_is_lost(checkpoint, images, tmp_path, monkeypatch):
    run(checkpoint, images, tmp_path / "calm")
    assert json.loads((tmp_path / "calm" / "instances.json").read_text())

    def half(folder):
        (path,) = folder.glob("*/instances.json")
        path.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", half)
        with pytest.raises(SystemExit):
            run(checkpoint, images, tmp_path / "out")
    (tmp_path / "out" / ".panoptic.json.abcd_123").write_text("half")
    run(checkpoint, images, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_more_images_later_are_added(checkpoint, images, tmp_path):
    assert len(run(checkpoint, images, tmp_path / "out", "--limit", "1")["images"]) == 1
    run(checkpoint, images, tmp_path / "out")
    run(checkpoint, images, tmp_path / "calm")
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")


def test_another_checkpoint_or_a_strangers_predictions_are_not_mixed_in(checkpoint, images, tmp_path):
    run(checkpoint, images, tmp_path / "out")
    other = network()
    with torch.no_grad():
        other.body.conv1.weight.mul_(2)
    save_network(tmp_path / "other", other, CATALOGUE)
    for made_by, out in ((tmp_path / "other", "out"), (checkpoint, "strange")):
        (tmp_path / "strange" / "panoptic").mkdir(parents=True, exist_ok=True)
        with pytest.raises(SystemExit, match="expected a new --out"):
            run(made_by, images, tmp_path / out)


def test_a_broken_image_is_named_and_left_out_only_by_choice(checkpoint, images, tmp_path, capsys):
    path = images / "b.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SystemExit, match=str(path)):
        run(checkpoint, images, tmp_path / "out")
    panoptic = run(checkpoint, images, tmp_path / "out", "--broken", "skip")
    assert [image["id"] for image in panoptic["images"]] == ["a", "c"]
    assert str(path) in capsys.readouterr().err


def test_folders_without_images_are_named(checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(SystemExit, match=str(folder)):
            run(checkpoint, folder, tmp_path / "out")


def test_a_ground_truth_gives_its_own_ids(tmp_path):
    ids = ["x1", "x0"]
    found, gt = photographs(str(write_ground_truth(tmp_path, ids)))
    assert [p.image_id for p in found] == [m.image_id for m in gt.maps] == sorted(ids)
    assert found[0].path == tmp_path / "validation/images/x0.jpg"


def test_two_images_of_one_name_are_refused(images):
    shutil.copy(images / "a.jpg", images / "a.PNG")
    with pytest.raises(InputError, match="two images named a"):
        photographs(str(images))


def test_what_begins_with_a_dot_is_no_image(tmp_path):
    folders.write_photograph(tmp_path / "a.jpg", [[0]])
    (tmp_path / "._a.jpg").write_bytes(b"Mac OS X")
    assert [p.image_id for p in photographs(str(tmp_path))[0]] == ["a"]


def test_images_are_read_at_the_networks_resolution(tmp_path):
    gradient = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (128, 1, 3))
    for name in ("a.png", "a.jpg"):
        Image.fromarray(gradient).save(tmp_path / name, quality=95)
        image, size = read_image(tmp_path / name, shortest=32)
        assert size == (128, 256)
        assert image.shape == (32, 64, 3)
        expected = gradient.reshape(32, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(image - expected)[:, 2:-2].max() <= 3


def test_a_turned_image_has_the_size_of_its_labels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 60)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("L", (60, 40)).save(tmp_path / "shown.png")
    Image.new("L", (40, 60)).save(tmp_path / "stored.png")
    image, size = read_image(tmp_path / "a.jpg", 20, tmp_path / "shown.png")
    assert (size, image.shape) == ((40, 60), (20, 30, 3))
    assert read_image(tmp_path / "a.jpg", 20, tmp_path / "none.png")[1] == (40, 60)
    with pytest.raises(
        InputError, match=r"a\.jpg: has 60 x 40 pixels as it is shown; expected 40 x 60, as .*stored\.png"
    ):
        read_image(tmp_path / "a.jpg", 20, tmp_path / "stored.png")


def test_predictions_are_brought_back_to_the_images_size():
    learned = network().eval()
    image = tiny.rectangles(0)[0].permute(1, 2, 0).numpy()
    small = predict_image(learned, CATALOGUE, image, (64, 64), semantic=True)
    large = predict_image(learned, CATALOGUE, image, (128, 192), semantic=True)
    assert large.panoptic.ids.shape == large.semantic.shape == (128, 192)
    for a, b in zip(small.instances, large.instances, strict=True):
        assert np.array(b["bbox"]) == pytest.approx(np.array(a["bbox"]) * [3, 2, 3, 2], abs=1e-3)
        assert b["segmentation"]["size"] == [128, 192]
