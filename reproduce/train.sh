#!/usr/bin/env bash
# Trains the variants of Table 1 on the embedded data set and ships their networks. If it is interrupted, run it again.
# All runs, hours, one on each core, on all GPUs in turn:  bash reproduce/train.sh
# One of them:                                             bash reproduce/train.sh --variants crop --seeds 0
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.train "$@"
