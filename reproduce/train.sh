#!/usr/bin/env bash
# Trains the arms of Table 1 on the embedded data set and ships their networks; goes on where it stopped.
# All runs, hours, one on each core:  bash reproduce/train.sh
# One of them:                        bash reproduce/train.sh --arms crop --seeds 0
# On a GPU, all side by side:         bash reproduce/train.sh --side-by-side 18
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.arms "$@"
