"""Networks that group pixels around centers (Panoptic-DeepLab): targets, losses and grouping; not yet a network."""
