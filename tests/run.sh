#!/usr/bin/env bash
# All checks, as CI runs them: style, types, import contracts, declared dependencies, tests. Arguments go to pytest:  bash tests/run.sh -k pairs
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
ruff check .
ruff format --check .
mypy
lint-imports
deptry . tests/support tests/robustness
deptry panoptic_eval --known-first-party panoptic_eval \
    --optional-dependencies-dev-groups dask,dev,docs,model,notebooks,plots,tensorboard
python -m pytest -n "${PYTEST_WORKERS:-2}" "$@"
