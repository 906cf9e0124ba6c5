"""Exact and fast metrics of panoptic segmentation, at all scales."""
