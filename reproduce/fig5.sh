#!/usr/bin/env bash
# Fig. 5: box and mask AP by size of the objects, for every variant.
# Embedded data set and shipped checkpoints, minutes on a CPU:  bash reproduce/fig5.sh
# From your own checkpoints on Mapillary Vistas:                bash reproduce/fig5.sh --gt mvd --root DIR --checkpoints DIR
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.fig5 "$@"
