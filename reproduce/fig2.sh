#!/usr/bin/env bash
# Fig. 2: IoU of cropped boxes with full ones by object size, and how object scales are distributed.
# Embedded data set, minutes on a CPU:  bash reproduce/fig2.sh
# Another data set:                     bash reproduce/fig2.sh --gt mvd --root DIR
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.fig2 "$@"
