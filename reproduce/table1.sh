#!/usr/bin/env bash
# Table 1: what crops, CABB and ISUS change; beside it the published one, audited.
# Embedded data set and shipped checkpoints, minutes on a CPU:  bash reproduce/table1.sh
# All seeds and all 500 images:                                 bash reproduce/table1.sh --full
# From your own checkpoints on Mapillary Vistas:                bash reproduce/table1.sh --gt mvd --root DIR --checkpoints DIR
# Predictions of other systems:                                 bash reproduce/table1.sh --gt mvd --root DIR --predictions A B
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.table1 "$@"
