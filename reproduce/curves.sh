#!/usr/bin/env bash
# Curves: scores against steps, against the scale of the test images, against object size, and against ISUS' settings.
# Shipped checkpoints and committed tables, minutes on a CPU:  bash reproduce/curves.sh
# All images and all shipped variants at other scales:         bash reproduce/curves.sh --full
# The second version of the embedded data set:                 bash reproduce/curves.sh --gt streets-2
# Learning curves and sensitivity of your own runs, too:       bash reproduce/curves.sh --runs runs/streets/training
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.curves "$@"
