#!/usr/bin/env bash
# Table 1 as published, audited, and a row for each prediction directory that was scored:  bash reproduce/table1.sh
# Score one:  panoptic-eval --pred DIR --gt mvd --root DATA --out runs/NAME
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m reproduce.table1 "$@"
