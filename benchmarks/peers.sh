#!/usr/bin/env bash
# Ours beside other tools, measured and written to results/benchmarks/peers.md; half an hour on two idle cores:  bash benchmarks/peers.sh
# A part of it, elsewhere:  bash benchmarks/peers.sh --data mvd --rounds 1 --out runs/benchmarks/some
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
bash benchmarks/setup.sh
python -m benchmarks.peers "$@"
