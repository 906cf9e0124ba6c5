"""Commands of `panoptic-eval` that have a file of their own; `panoptic_eval.cli` lists them all."""
