#!/usr/bin/env bash
# A metric in a training loop beside other tools, to results/benchmarks/loop.md; ten minutes on a core:  bash benchmarks/loop.sh
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
TORCHMETRICS=1 bash benchmarks/setup.sh
python -m benchmarks.loop "$@"
