"""Networks that group pixels around centers: Panoptic-DeepLab."""
