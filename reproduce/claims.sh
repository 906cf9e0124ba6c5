#!/usr/bin/env bash
# The 13 claims of the paper, each with a verdict by a fixed rule.
# Embedded data set and shipped checkpoints, minutes on a CPU:  bash reproduce/claims.sh
# From your own checkpoints on Mapillary Vistas:                bash reproduce/claims.sh --gt mvd --root DIR --checkpoints DIR
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.claims "$@"
