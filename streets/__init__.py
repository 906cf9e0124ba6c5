"""Street scenes drawn from a seed, with panoptic ground truth: a data set that needs no download."""
