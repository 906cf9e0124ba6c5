#!/usr/bin/env bash
# Curves: scores against steps, against the scale of the test images, against object size, and against ISUS' settings.
# Shipped checkpoints and committed tables, minutes on a CPU:  bash reproduce/curves.sh
# All images and all shipped variants at other scales:         bash reproduce/curves.sh --full
# Learning curves and sensitivity of your own runs, too:       bash reproduce/curves.sh --runs runs/streets-2/training
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.curves "$@"
