#!/usr/bin/env bash
# All checks, as CI runs them: style, types, import contracts, tests. Arguments go to pytest:  bash tests/run.sh -k pairs
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
ruff check .
ruff format --check .
mypy
lint-imports
python -m pytest -n "${PYTEST_WORKERS:-2}" "$@"
