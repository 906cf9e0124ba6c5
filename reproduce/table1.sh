#!/usr/bin/env bash
# Table 1: what crops, CABB and ISUS change; beside it the published one, audited.
# Embedded data set and shipped checkpoints, minutes on a CPU:  bash reproduce/table1.sh
# All 1,500 images:                                             bash reproduce/table1.sh --full
# The same from the shipped pair tables, without predicting:    bash reproduce/table1.sh --full --stored
# From your own checkpoints on Mapillary Vistas:                bash reproduce/table1.sh --gt mvd --root DIR --checkpoints DIR
# Predictions of other systems:                                 bash reproduce/table1.sh --gt mvd --root DIR --predictions A B
#
# It draws the images, then runs two commands for each of the checkpoints, on all cores side by side:
#   python -m model.predict --checkpoint results/streets-2/checkpoints/crop/seed0 --images IMAGES --out PREDICTIONS
#   panoptic-eval score --pred PREDICTIONS --gt IMAGES --out REPORT
# and makes the table, with intervals, of what the second one stores. For 200 images both take about a minute
# of one core (AMD EPYC), and 13 MB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.table1 "$@"
