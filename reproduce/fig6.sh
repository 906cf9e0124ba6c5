#!/usr/bin/env bash
# Fig. 6: ground truth and what CROP and CROP + CABB + ISUS see, where they differ most on large objects.
# Embedded data set and shipped checkpoints, minutes on a CPU:  bash reproduce/fig6.sh
# From your own checkpoints on Mapillary Vistas:                bash reproduce/fig6.sh --gt mvd --root DIR --checkpoints DIR
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.fig6 "$@"
