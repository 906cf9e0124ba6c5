"""Checkpoints of variants that nobody trained, and images for them, laid out as reproduce/ expects them."""

from pathlib import Path

from folders import write_mapillary
from street_folders import LABELS, photograph, scene
from tiny_training import config

from model.checkpoint import save_network
from model.train import initial_network
from panoptic_eval.datasets import ground_truth


def write_validation(root: Path, images: int = 4) -> Path:
    """Small scenes in Mapillary's layout, validation split."""
    scenes = {f"image{k}": scene(k, height=64, width=96, instances=6) for k in range(images)}
    write_mapillary(root, scenes, version="2.0", labels=LABELS)
    for name, ids in scenes.items():
        photograph(*ids.shape).save(root / "validation" / "images" / f"{name}.jpg", "PNG")
    return root


def write_checkpoints(root: Path, gt: Path, runs: dict[str, int]) -> Path:
    """Networks as they are before training, by VARIANT/seedN and the seed of their weights."""
    catalogue = ground_truth(gt).catalogue
    for name, seed in runs.items():
        save_network(root / name, initial_network(config(), catalogue, seed), catalogue)
    return root
